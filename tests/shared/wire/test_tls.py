"""TLS in memory, against the server's end of the standard library: nothing here needs a socket."""

import ssl
from collections.abc import Iterator

import pytest

from shared.wire.tls import CertificateError, ClientTls, RecordBounds, TlsError, client_context, server_name
from tests.support.certificates import Authority
from tests.support.tls_end import server_context


class Server:
    """The other end."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authority]:
    for name, value in authority.variables.items():
        monkeypatch.setenv(name, value)
    client_context.cache_clear()
    yield authority
    client_context.cache_clear()


def met(authority: Authority, host: str, *names: str, verifies: bool = True) -> tuple[ClientTls, Server]:
    """Return two ends that have shaken hands."""
    server = Server(server_context(authority.certify("met", *names)))
    client = ClientTls(host, verifies=verifies)
    for _ in range(4):
        done = client.shake_hands()
        server.incoming.write(client.to_send())
        try:
            server.tls.do_handshake()
        except ssl.SSLWantReadError:
            done = False
        client.feed(server.outgoing.read())
        if done:
            break
    assert done
    return client, server


@pytest.mark.parametrize(
    ("host", "name"), [("localhost.", "DNS:localhost"), ("127.0.0.1", "IP:127.0.0.1"), ("::1", "IP:::1")]
)
def test_what_is_said_comes_over(host: str, name: str, trusted: Authority) -> None:
    client, server = met(trusted, host, name)
    assert server.tls.selected_alpn_protocol() == "http/1.1"
    server.incoming.write(client.encrypt(b"hello"))
    assert server.tls.read(100) == b"hello"
    server.tls.write(b"one")
    server.tls.write(b"two")
    record, buffer = server.outgoing.read(), bytearray(100)
    client.feed(record[:-1])
    assert client.decrypt(memoryview(buffer)) == (3, False), "a record is read once its last byte is there"
    client.feed(record[-1:])
    assert client.decrypt(memoryview(buffer)) == (3, False)
    assert buffer[:3] == b"two"
    assert client.decrypt(memoryview(buffer)) == (0, False)


def test_a_goodbye_is_told_from_silence(trusted: Authority) -> None:
    client, server = met(trusted, "localhost", "DNS:localhost")
    server.tls.write(b"bye")
    with pytest.raises(ssl.SSLWantReadError):
        server.tls.unwrap()
    client.feed(server.outgoing.read())
    assert client.decrypt(memoryview(bytearray(100))) == (3, True)
    server.incoming.write(client.goodbye())
    server.tls.unwrap()


def test_of_a_small_buffer_nothing_is_lost(trusted: Authority) -> None:
    client, server = met(trusted, "localhost", "DNS:localhost")
    server.tls.write(b"0123456789")
    client.feed(server.outgoing.read())
    buffer, read = bytearray(4), b""
    while size := client.decrypt(memoryview(buffer))[0]:
        read += buffer[:size]
    assert read == b"0123456789"


def test_who_is_not_who_was_asked_for_is_not_trusted(trusted: Authority) -> None:
    with pytest.raises(CertificateError, match=r"^the certificate is not trusted: Hostname mismatch"):
        met(trusted, "example.org", "DNS:localhost")


def test_who_is_too_old_or_unknown_is_not_trusted(authority: Authority) -> None:
    client_context.cache_clear()  # the authority is unknown here
    with pytest.raises(CertificateError, match=r"^the certificate is not trusted: unable to get local issuer"):
        met(authority, "localhost", "DNS:localhost")
    assert met(authority, "example.org", "DNS:localhost", verifies=False)


def test_what_is_no_tls_is_an_error() -> None:
    client = ClientTls("localhost", verifies=False)
    assert not client.shake_hands()
    client.feed(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(TlsError, match=r"^TLS: "):
        client.shake_hands()


def test_the_name_in_a_certificate() -> None:
    assert server_name("example.org.") == "example.org"
    assert server_name("fe80::1%eth0") == "fe80::1"


@pytest.mark.parametrize("step", [1, 2, 4, 5, 7, 13, 1000])
def test_where_records_end(step: int) -> None:
    records = [b"\x17\x03\x03" + size.to_bytes(2, "big") + bytes(size) for size in (0, 1, 9, 300, 4)]
    data = b"".join(records)
    ends = {sum(map(len, records[:count])) for count in range(len(records) + 1)}
    bounds = RecordBounds()
    for start in range(0, len(data), step):
        bounds.take(memoryview(data[start : start + step]))
        assert (bounds.left_bytes == 0) == (min(len(data), start + step) in ends)
