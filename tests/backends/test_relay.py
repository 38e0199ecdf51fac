import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from backends.relay import main
from shared.relay.hub import BodyReader, Came, Hello, Publish, Subscribe, decode_from_hub, encode, framed
from tests.support.relays import Relay


@pytest.mark.parametrize("url", ["redis://localhost", "memory://", "amqp://x", "zmq+tcp://here"])
def test_a_url_that_is_not_its_own_to_serve_is_refused_in_one_line(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["relay", url])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert "zmq+tcp://" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("scheme", ["unix", "zmq+ipc", "zmq+tcp"])
def test_a_place_is_one_relay_s_until_it_ends_and_it_leaves_nothing(scheme: str, tmp_path: Path) -> None:
    relay = Relay(scheme, tmp_path)
    relay.start()
    try:
        command = [sys.executable, "-m", "backends.relay", relay.url]
        second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert second.returncode == 2
        assert second.stderr.startswith(f"error: can't listen at {relay.url}: ")
        assert second.stderr.count("\n") == 1
        relay.signal(signal.SIGTERM)
        assert relay.wait() == 0
        assert {path.name for path in tmp_path.iterdir()} <= {"log", "bus.lock"}
    finally:
        relay.kill()
    assert (tmp_path / "log").read_text() == f"tickbench relay listening at {relay.url}\n"


def test_a_socket_is_its_user_s_alone(tmp_path: Path) -> None:
    relay = Relay("unix", tmp_path)
    relay.start()
    try:
        assert (tmp_path / "bus").stat().st_mode & 0o077 == 0
    finally:
        relay.kill()


@pytest.mark.parametrize("junk", [b"\xff" * 100, framed(b"hello"), framed(encode(Came("x", b"1")))])
def test_junk_ends_its_own_connection_and_no_other(junk: bytes, tmp_path: Path) -> None:
    relay = Relay("unix", tmp_path)
    relay.start()
    try:
        with socket.socket(socket.AF_UNIX) as good, socket.socket(socket.AF_UNIX) as bad:
            for sock in (good, bad):
                sock.settimeout(10)
                sock.connect(str(tmp_path / "bus"))
            good.sendall(b"".join(framed(encode(item)) for item in (Hello(), Subscribe("x"))))
            bad.sendall(junk)
            assert bad.recv(100) == b""
            good.sendall(framed(encode(Publish("x", b"1"))))
            reader = BodyReader()
            found: list[object] = []
            while len(found) < 3:
                found += [decode_from_hub(body) for body in reader.feed(good.recv(4096))]
            assert found[-1] == Came("x", b"1")
    finally:
        relay.kill()
