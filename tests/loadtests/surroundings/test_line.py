"""What is asked before and beside a run goes through TLS, under a prefix and with headers, as the connections do."""

import http.server
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from loadtests.surroundings import reachability
from loadtests.surroundings.reachability import NoServerError, UntrustedError, check_server
from loadtests.surroundings.server_stats import fetch_stats
from shared.wire.target import parse_target
from tests.loadtests.surroundings.test_server_stats import PATIENCE_S, stats
from tests.support.certificates import Authority
from tests.support.scripted_server import shake_hands
from tests.support.tls_end import TlsEnd, server_context


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    return server_context(authority.certify("local", "DNS:localhost", "IP:127.0.0.1"))


@contextmanager
def listening(script: Any) -> Iterator[int]:
    """Have a script see to one connection, in a thread; yield the port."""

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(PATIENCE_S)
            script(sock)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join(PATIENCE_S)


def test_a_handshake_through_tls(context: ssl.SSLContext) -> None:
    with listening(lambda sock: shake_hands(TlsEnd(sock, context))) as port:  # type: ignore[arg-type] # as much of one
        target = replace(parse_target(f"wss://localhost:{port}"), verifies=False)
        assert check_server(target) == (socket.AF_INET, ("127.0.0.1", port))


def test_a_certificate_that_is_not_trusted_is_told_apart(context: ssl.SSLContext) -> None:
    def script(sock: socket.socket) -> None:
        with pytest.raises(ssl.SSLError):
            TlsEnd(sock, context).recv(1)

    with listening(script) as port, pytest.raises(UntrustedError) as raised:
        check_server(parse_target(f"wss://me:secret@localhost:{port}"))
    words = str(raised.value)
    assert words.startswith(f"wss://localhost:{port}/connect: the certificate is not trusted: ")
    assert words.endswith("right would be one that is trusted here (SSL_CERT_FILE names more), or --insecure")


def test_a_server_without_tls_is_told_apart() -> None:
    def script(sock: socket.socket) -> None:
        sock.recv(4096)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with listening(script) as port, pytest.raises(NoServerError, match=r"TLS: .* has a URL that begins with ws$"):
        check_server(parse_target(f"wss://localhost:{port}"))


@pytest.mark.parametrize("said", [b"", b"\x16\x03"])
def test_a_handshake_of_tls_that_goes_nowhere_is_given_up(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(said)
        while sock.recv(4096):
            pass

    monkeypatch.setattr(reachability, "TIMEOUT_S", 0.2)
    with listening(script) as port, pytest.raises(NoServerError, match=r"does not answer within 0\.2 s"):
        check_server(parse_target(f"wss://localhost:{port}"))


def test_stats_through_tls_under_a_prefix_with_headers(context: ssl.SSLContext) -> None:
    asked: list[tuple[str, str | None, str | None]] = []

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"], self.headers["Cookie"]))
            body = json.dumps(stats()).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        address = (socket.AF_INET, ("127.0.0.1", server.server_port))
        target = parse_target(f"wss://me:secret@localhost:{server.server_port}/game/connect")
        target = replace(target.with_headers((("Cookie", "a=b"),)), verifies=False)
        found = fetch_stats(target, address)
        thread.join(PATIENCE_S)
    assert asked == [("/game/stats", "Basic bWU6c2VjcmV0", "a=b")]
    assert found.asked_us <= found.answered_us
    assert found.tick_rate_hz == 20
