"""A server as it is deployed: behind TLS, under a prefix, with a login; all that is asked of it goes that way."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared.measure.summary import read_summary
from tests.loadtests.conftest import PATIENCE_S, load, load_planted_in_slots, planted
from tests.support.certificates import Authority, Certificate
from tests.support.planted_coat import EXTENSIONS
from tests.support.planted_law import Law

USERS = 12
TIMES = ("--warm-up", 1, "--duration", 2)
LOGIN = "Basic bWU6c2VjcmV0"


@pytest.mark.parametrize("workers", [(), ("--processes", 2)])
def test_a_deployed_server(
    workers: tuple[object, ...], authority: Authority, certificate: Certificate, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    law = Law(deflate="own", tls=str(certificate.both), login=LOGIN, prefix="/game", stats=True, pongs=True)
    with planted(law, tmp_path) as server:
        url = f"{server.url_of('me:secret')}/game/connect"
        arguments = ("--host", url, "--users", USERS, "--out", out, *TIMES, *workers)
        done = load(*arguments, variables=authority.variables)
    assert done.returncode in {0, 3}, done.stderr
    said = out.read_bytes()
    assert b"secret" not in said
    assert LOGIN.encode() not in said
    assert "secret" not in done.stdout + done.stderr
    summary = read_summary(said)
    assert summary.url == f"{server.url}/game/connect"
    assert summary.connections.connected == USERS
    assert summary.connections.extensions == {EXTENSIONS["own"]: USERS}
    assert summary.connections.tls_ms is not None
    assert summary.connections.tls_ms.count == USERS
    assert summary.server.ticks is not None, "its /stats are under the prefix, too"
    assert summary.ping_rtt_ms.count > 0
    assert summary.clock is not None
    assert summary.clock.source == "same host"
    assert summary.frames.missing == 0


def test_a_header_is_a_login_too(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    with planted(Law(login="Bearer secret"), tmp_path) as server:
        arguments = ("--host", server.url, "--users", 3, "--out", out, *TIMES)
        refused = load(*arguments)
        done = load(*arguments, "--header", "Authorization: Bearer secret", "--header", "X-More: yes")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].endswith("HTTP status 401")
    assert done.returncode in {0, 3}, done.stderr
    assert "secret" not in done.stdout + done.stderr
    assert read_summary(out.read_bytes()).connections.connected == 3


def test_in_slots_contexts_and_tls_go_on(certificate: Certificate, tmp_path: Path) -> None:
    """What came while the generator stood still is read in order when it goes on, or a context would be lost."""
    law = Law(deflate="own", tls=str(certificate.both), tick_rate_hz=20)
    arguments = ("--warm-up", 1, "--insecure")
    run = load_planted_in_slots(law, tmp_path, USERS, *arguments, slots=3, slot_s=1, pause_s=0.5)
    assert run.summary.connections.extensions == {EXTENSIONS["own"]: USERS}
    assert run.summary.connections.closed_early == 0
    assert run.summary.frames.received > 0


@pytest.mark.parametrize("name", ["DNS:localhost", "IP:127.0.0.1"])
def test_a_wrong_certificate_is_one_line_before_anybody_comes(name: str, tmp_path: Path, authority: Authority) -> None:
    """It is for somebody else, or of an authority that nobody knows."""
    unknown = Authority(tmp_path)
    certificate = (authority if name == "DNS:localhost" else unknown).certify("wrong", name)
    with planted(Law(tls=str(certificate.both)), tmp_path) as server:
        done = subprocess.run(
            [sys.executable, "-m", "tickbench", "load", server.url_of("me:secret"), "--users", "3"],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"error: {server.url}/connect: the certificate is not trusted: ")
    assert "--insecure" in line
    assert "secret" not in line
    assert server.meta().handshakes == 0
