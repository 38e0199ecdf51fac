"""Servers behind TLS are held to the protocol, and compared, as any other; a wrong certificate is one line."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.support.certificates import Certificate, make_certificate
from tests.support.proxies import Proxy, haproxy
from tests.support.server import run_server
from tests.tickbench.conftest import run_warm
from tickbench.compare.results import read_results
from tickbench.conformance.verdict import Conformance

SUITE = """
name = "through"
arms = ["url={url}"]
scenario = "steady"
connections = 20
duration_s = 1.0
warm_up_s = 1.0
repeats = 1
seed = 1
quiet_wait_s = 0
max_attempts = 1
"""
LIMIT_S = 120
ANSWERED_BY_THE_PROXY = {"bad-request", "refusal-order", "half-handshake"}
"""HAProxy takes the upgrade out of a request with a body, refuses bad keys itself, whatever else is wrong, and waits as
long as it was told to for the rest of a request."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module", params=["asyncio", "gevent"])
def proxy(request: pytest.FixtureRequest, certificate: Certificate) -> Iterator[Proxy]:
    flags = ("--new-player-limit", "0.5", "--bots", "3", "--tick-budget", "0")
    with run_server(request.param, *flags) as server, haproxy(server.address[1], certificate) as running:
        yield running


def tickbench(*words: str, trusts: Certificate | None = None) -> subprocess.CompletedProcess[str]:
    variables = {} if trusts is None else {"SSL_CERT_FILE": str(trusts.authority)}
    return run_warm(["-m", "tickbench", *words], variables, LIMIT_S)


def test_a_server_behind_tls_conforms(proxy: Proxy, certificate: Certificate, tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    done = tickbench("conformance", proxy.ws_url, "--json", str(file), trusts=certificate)
    found = msgspec.json.decode(file.read_bytes(), type=Conformance)
    assert {each.name for each in found.checks if each.level == "fault"} <= ANSWERED_BY_THE_PROXY, done.stdout
    assert not found.says_little
    assert found.count("ok") > 70


@pytest.mark.parametrize("words", [("conformance",), ("compare", "--arm")], ids=["conformance", "compare"])
def test_a_certificate_that_is_not_trusted_is_one_line(proxy: Proxy, words: tuple[str, ...], tmp_path: Path) -> None:
    url = f"url={proxy.ws_url}" if words[0] == "compare" else proxy.ws_url
    out = ("--out", str(tmp_path)) if words[0] == "compare" else ()
    done = tickbench(*words, url, *out)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert "the certificate is not trusted" in done.stderr
    assert "--insecure" in done.stderr


def test_a_server_behind_tls_is_compared_and_no_result_holds_a_password(proxy: Proxy, tmp_path: Path) -> None:
    suite, out = tmp_path / "through.toml", tmp_path / "out"
    suite.write_text(SUITE.format(url=proxy.ws_url.replace("wss://", "wss://user:secret-word@")))
    done = tickbench("compare", "--suite", str(suite), "--out", str(out), "--insecure", "--header", "X-Key: hidden-key")
    assert done.returncode == 0, done.stdout + done.stderr
    run = read_results(out / "latest").runs[0]
    assert run.load is not None
    assert run.load.connections.connected == 20
    assert run.load.connections.tls_ms is not None
    assert run.server_settings is not None
    written = [file for file in (out / "latest").resolve().rglob("*") if file.is_file()]
    for text in (done.stdout, done.stderr, *(file.read_text("utf-8") for file in written)):
        assert "secret-word" not in text
        assert "hidden-key" not in text
