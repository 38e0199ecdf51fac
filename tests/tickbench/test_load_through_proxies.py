"""A server as it is deployed, behind TLS, a proxy and a path: ``tickbench load`` reaches it, and counts every frame."""

import json
import subprocess
from pathlib import Path

import pytest

from shared.measure.summary import read_summary
from tests.support.certificates import Certificate, make_certificate
from tests.support.proxies import PROXIES
from tests.support.server import run_server
from tests.tickbench.conftest import run_warm

USERS = 100
SHORT = ("--warm-up", "0.5", "--duration", "2")
SHORTEST = ("--warm-up", "0", "--duration", "1")
"""Where only who came in counts."""
SERVERS = [
    ("asyncio", "haproxy", ""),
    ("asyncio", "nginx", "/game"),
    ("gevent", "haproxy", "/game"),
    ("gevent", "nginx", ""),
]

LIMIT_S = 60


def tickbench(*arguments: str, trusts: Certificate | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end, on a machine that trusts a certificate's authority and no other."""
    variables = {"SSL_CERT_FILE": str(trusts.authority)} if trusts else {}
    return run_warm(["-m", "tickbench", *arguments], variables, LIMIT_S)


@pytest.mark.parametrize(("backend", "name", "path"), SERVERS)
def test_a_load_through_a_proxy_is_what_it_is_without(tmp_path: Path, backend: str, name: str, path: str) -> None:
    certificate, out = make_certificate(tmp_path), tmp_path / "summary.json"
    with (
        run_server(backend, "--tick-budget", "0", "--trusted-proxy", "127.0.0.1") as server,
        PROXIES[name](server.address[1], certificate, path=path) as proxy,
    ):
        url = f"{proxy.ws_url}/connect" if path else proxy.ws_url
        arguments = ("load", url, "--users", str(USERS), *SHORT, "--out", str(out))
        done = tickbench(*arguments, trusts=certificate)
        stats = server.stats()
    assert done.returncode in {0, 3}, done.stderr
    load = read_summary(out.read_bytes())
    connections, frames = load.connections, load.frames
    assert (connections.connected, connections.closed_early) == (USERS, 0)
    assert connections.tls_ms
    assert connections.tls_ms.count == USERS
    assert (frames.missing, frames.duplicate, frames.out_of_order) == (0, 0, 0)
    assert frames.received == frames.expected > 0
    assert load.server, "/stats was asked for beside /connect, through the proxy"
    assert stats["accepted"] >= USERS
    for reason in load.validity.reasons:  # of a machine that does much else
        assert {"reach", "frames.missing", "connections.closed_early"} <= set(load.validity.spared[reason]), reason


@pytest.mark.parametrize("name", PROXIES)
def test_a_certificate_that_is_not_trusted_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "other").mkdir()
    ours, other = make_certificate(tmp_path / "ours"), make_certificate(tmp_path / "other", "DNS:other.example")
    with run_server("asyncio", "--tick-budget", "0") as server:
        accepted = 0
        for certificate, trusted, why in (
            (ours, other, "unable to get local issuer certificate"),
            (other, other, "IP address mismatch"),
        ):
            with PROXIES[name](server.address[1], certificate) as proxy:
                arguments = ("load", proxy.ws_url, "--users", "3", *SHORTEST)
                done = tickbench(*arguments, trusts=trusted)
                assert done.returncode == 2, done.stderr
                (said,) = done.stderr.splitlines()
                assert said.startswith(f"error: {proxy.ws_url}/connect: the certificate is not trusted: {why}")
                assert server.stats()["accepted"] == accepted, "nobody came in"
                done = tickbench(*arguments, "--insecure", trusts=trusted)
                assert done.returncode in {0, 3}, done.stderr
                accepted = server.stats()["accepted"]
                assert accepted


def test_without_tls_a_path_is_kept_too(tmp_path: Path) -> None:
    out = tmp_path / "summary.json"
    with (
        run_server("gevent", "--tick-budget", "0") as server,
        PROXIES["haproxy"](server.address[1], path="/game") as proxy,
    ):
        done = tickbench("load", f"{proxy.ws_url}/connect", "--users", "3", *SHORTEST, "--out", str(out))
    assert done.returncode in {0, 3}, done.stderr
    assert json.loads(out.read_text())["server"], "of /game/stats"
