import pytest

from shared.wire.hosts import header_host, lacks_zone, parse_host, url_host


@pytest.mark.parametrize(
    ("text", "host", "in_url", "in_header"),
    [
        ("Example.ORG", "example.org", "example.org", "example.org"),
        ("münchen.example", "xn--mnchen-3ya.example", "xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("m\udcc3\udcbcnchen.example", "xn--mnchen-3ya.example", "xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("::", "::", "[::]", "[::]"),
        ("[2001:DB8::0:1]", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]"),
        ("fe80::1%eth0.2", "fe80::1%eth0.2", "[fe80::1%25eth0.2]", "[fe80::1]"),
        ("fe80::1%25", "fe80::1%25", "[fe80::1%2525]", "[fe80::1]"),
        ("[fe80::1%25eth%2D0]", "fe80::1%eth-0", "[fe80::1%25eth-0]", "[fe80::1]"),
    ],
)
def test_each_spelling_of_a_host(text: str, host: str, in_url: str, in_header: str) -> None:
    assert parse_host(text) == host
    assert url_host(host) == in_url
    assert header_host(host) == in_header
    assert parse_host(in_url) == host


@pytest.mark.parametrize(
    "text", ["", "a b", "a..b", "-", "[a]", "[127.0.0.1]", "1:2", "[::1", "::1%", "::1%a/b", "a/b", "\udcff", "ü" * 70]
)
def test_what_is_no_host_is_named_in_a_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no ") as error:
        parse_host(text)
    assert "codec" not in str(error.value)


def test_only_a_link_local_address_needs_an_interface() -> None:
    assert [lacks_zone(host) for host in ("fe80::1", "fe80::1%eth0", "::1", "127.0.0.1", "a.example")] == [True] + [
        False
    ] * 4
