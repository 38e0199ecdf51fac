"""
Requests that RFC 9112 and RFC 9110 have a server refuse, or that are special without being wrong.

Each is sent as it is, and nothing behind it; ``malformed`` ones are answered with 400 whatever their path.
"""

from typing import NamedTuple


def plain(*fields: bytes, target: bytes = b"/healthz", host: bytes = b"Host: localhost\r\n") -> bytes:
    """Return a GET with these fields, each as it is to be sent without its end."""
    return b"GET %b HTTP/1.1\r\n%b%b\r\n" % (target, host, b"".join(field + b"\r\n" for field in fields))


UPGRADE = (
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)

MALFORMED = {
    # Section 2.2: lines end with CR LF, and nothing else ends a line.
    "bare LF": b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
    "bare LF behind a field": plain(b"X: a\nY: b"),
    "bare CR in a field": plain(b"X: a\rY: b"),
    "bare CR in the request line": b"GET /healthz\r HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "NUL in a value": plain(b"X: a\x00b"),
    "NUL in a name": plain(b"X\x00: a"),
    "DEL in a value": plain(b"X: a\x7fb"),
    "two empty lines": b"\r\n\r\n" + plain(),
    "white space before the first field": b"GET /healthz HTTP/1.1\r\n Host: localhost\r\n\r\n",
    # Section 3: the request line.
    "two spaces": b"GET  /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a tab instead of a space": b"GET\t/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a space behind the version": b"GET /healthz HTTP/1.1 \r\nHost: localhost\r\n\r\n",
    "a space before the method": b" GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a method that is no token": b"G(T /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no version": b"GET /healthz\r\nHost: localhost\r\n\r\n",
    "a version in lower case": b"GET /healthz http/1.1\r\nHost: localhost\r\n\r\n",
    "HTTP/2.0": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.10": b"GET /healthz HTTP/1.10\r\nHost: localhost\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    # Section 3.2: the target.
    "a target without a slash": plain(target=b"healthz"),
    "a target with a fragment": plain(target=b"/healthz#x"),
    "a target with a backslash": plain(target=b"/\\healthz"),
    "a target that is not ASCII": plain(target=b"/\xc3\xa4"),
    "a target with half an escape": plain(target=b"/healthz?x=%4"),
    "an asterisk for a GET": plain(target=b"*"),
    "a host for a GET": plain(target=b"localhost:80"),
    "a path for a CONNECT": b"CONNECT /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "another scheme": plain(target=b"ftp://localhost/healthz"),
    "a URL with a user": plain(target=b"http://a@localhost/healthz"),
    "a URL without a host": plain(target=b"http:///healthz"),
    # Section 3.2, Host.
    "no Host": plain(host=b""),
    "two Hosts": plain(b"Host: other"),
    "twice the same Host": plain(b"Host: localhost"),
    "an empty Host": plain(host=b"Host: \r\n"),
    "a Host that is none": plain(host=b"Host: a b\r\n"),
    "a Host with a path": plain(host=b"Host: localhost/healthz\r\n"),
    "a Host with a port that is none": plain(host=b"Host: localhost:http\r\n"),
    "a Host with a port beyond all": plain(host=b"Host: localhost:65536\r\n"),
    "a Host with half an address": plain(host=b"Host: [::1\r\n"),
    # Section 5: the fields.
    "no colon": plain(b"X"),
    "no name": plain(b": a"),
    "a space before the colon": plain(b"X : a"),
    "a space in a name": plain(b"X Y: a"),
    "a name that is not ASCII": plain(b"\xc3\xa4: a"),
    "a folded line": plain(b"X: a", b" b"),
    "a line folded by a tab": plain(b"X: a", b"\tb"),
    # Section 6: where the message ends.
    "two Content-Lengths": plain(b"Content-Length: 3", b"Content-Length: 4"),
    "twice the same Content-Length": plain(b"Content-Length: 0", b"Content-Length: 0"),
    "a list as Content-Length": plain(b"Content-Length: 0, 0"),
    "Content-Length with an underscore": plain(b"Content-Length: 3_4"),
    "Content-Length with a sign": plain(b"Content-Length: +3"),
    "Content-Length below zero": plain(b"Content-Length: -1"),
    "Content-Length in hexadecimal": plain(b"Content-Length: 0x3"),
    "Content-Length in other digits": plain(b"Content-Length: \xd9\xa3"),
    "an empty Content-Length": plain(b"Content-Length: "),
    "Content-Length with Transfer-Encoding": plain(b"Content-Length: 3", b"Transfer-Encoding: chunked"),
    "a vertical tab before chunked": plain(b"Transfer-Encoding: \x0bchunked"),
    "a coding that nobody knows": plain(b"Transfer-Encoding: xchunked"),
    "a coding beside chunked that nobody knows": plain(b"Transfer-Encoding: x, chunked"),
    "chunked that is not the last": plain(b"Transfer-Encoding: chunked, gzip"),
    "chunked twice": plain(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "identity": plain(b"Transfer-Encoding: identity"),
    "an empty Transfer-Encoding": plain(b"Transfer-Encoding:"),
    "Transfer-Encoding over HTTP/1.0": b"GET /healthz HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
}


class Special(NamedTuple):
    """A request that is none of the usual, and what it is answered with."""

    request: bytes
    status: int
    closes: bool = True  # whether the connection ends with the answer


SPECIAL = {
    "an empty line before it": Special(b"\r\n" + plain(), 200, closes=False),
    "white space around values": Special(plain(b"X:\t a \t", b"Y:"), 200, closes=False),
    "bytes that are not ASCII in a value": Special(plain(b"X: \xe4\xff"), 200, closes=False),
    "an empty body": Special(plain(b"Content-Length: 0"), 200, closes=False),
    "an empty body, in many digits": Special(plain(b"Content-Length: " + b"0" * 5000), 200, closes=False),
    "a body": Special(plain(b"Content-Length: 3"), 413),
    "a body of more digits than there are bytes": Special(plain(b"Content-Length: " + b"9" * 5000), 413),
    "a body in chunks": Special(plain(b"Transfer-Encoding: chunked"), 413),
    "a body in chunks, compressed": Special(plain(b"Transfer-Encoding: gzip", b"Transfer-Encoding: Chunked"), 413),
    "a body for no path": Special(plain(b"Content-Length: 3", target=b"/nowhere"), 404),
    "a body of a POST": Special(b"POST /stats HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n", 405),
    "a body of a page for WebSockets": Special(plain(b"Content-Length: 3", target=b"/connect"), 413),
    "a body of an upgrade": Special(plain(*UPGRADE, b"Content-Length: 3", target=b"/connect"), 400),
    "Expect": Special(plain(b"Expect: 100-continue"), 417),
    "Expect of what there is not": Special(plain(b"Expect: a-wonder"), 417),
    "Expect with a body": Special(plain(b"Expect: 100-continue", b"Content-Length: 3"), 417),
    "Expect for no path": Special(plain(b"Expect: 100-continue", target=b"/nowhere"), 404),
    "Expect of a POST": Special(b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\r\n", 405),
    "Expect over HTTP/1.0": Special(b"GET /healthz HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", 200),
    "a URL": Special(plain(target=b"http://localhost/healthz"), 200, closes=False),
    "a URL of https, with a port": Special(plain(target=b"HTTPS://LOCALHOST:443/healthz?x"), 200, closes=False),
    "a URL without a path": Special(plain(target=b"http://localhost"), 200, closes=False),
    "a URL that is no path here": Special(plain(target=b"http://localhost/nowhere"), 404),
    "a URL to upgrade": Special(plain(*UPGRADE, target=b"http://localhost/connect?room=."), 404, closes=False),
    "letters that are escaped": Special(plain(target=b"/%68ealthz"), 200, closes=False),
    "a slash that is escaped": Special(plain(target=b"/%2Fhealthz"), 404),
    "a path with dots": Special(plain(target=b"/./healthz"), 404),
    "HTTP/1.0": Special(b"GET /healthz HTTP/1.0\r\n\r\n", 200),
    "HTTP/1.0 that would stay": Special(b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200),
    "an upgrade over HTTP/1.0": Special(
        b"GET /connect HTTP/1.0\r\nHost: localhost\r\n" + b"\r\n".join((*UPGRADE, b"", b"")), 426
    ),
    "the last request": Special(plain(b"Connection: x, Close"), 200),
    "another upgrade": Special(plain(b"Upgrade: h2c", b"Connection: Upgrade"), 200, closes=False),
    "an upgrade of a page": Special(plain(*UPGRADE), 200, closes=False),
    "an unknown method": Special(b"get /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    "an unknown method for no path": Special(b"FETCH /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    "OPTIONS of the server": Special(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    "CONNECT": Special(b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n", 405),
    "a long target": Special(plain(target=b"/" + b"x" * 8000), 414),
    "a long target without an end": Special(b"GET /" + b"x" * 9000, 414),
    "a cookie of 9 KB": Special(plain(b"Cookie: " + b"y" * 9000), 200, closes=False),
    "a long field": Special(plain(b"X: " + b"y" * 16_384), 431),
    "a long field without an end": Special(plain(b"X: " + b"y" * 16_384)[:-4], 431),
    "a long origin": Special(plain(*UPGRADE, b"Origin: " + b"y" * 8001, target=b"/connect"), 431),
    "a long list of two fields": Special(plain(*[b"Sec-WebSocket-Protocol: " + b"y" * 4000] * 2), 431),
    "a long Host": Special(plain(host=b"Host: " + b"y" * 8001 + b"\r\n"), 431),
    "a long head": Special(plain(*[b"X: " + b"y" * 4000] * 5), 431),
    "many fields": Special(plain(*[b"X: y"] * 100), 431),
}
