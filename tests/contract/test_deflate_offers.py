"""
What is offered of permessage-deflate (RFC 7692, section 7.1) is taken or declined, and the answer kept to.

What our own part says is the rule; what a library says with ``--deflate on`` is its own, and is looked up here.
"""

import random

import pytest

from tests.conftest import Arm
from tests.support.client import TEXT
from tests.support.deflating_client import AS_BROWSERS, NAME, Agreement, open_echo, parsed
from tests.support.server import RunningServer

pytestmark = [pytest.mark.differs(), pytest.mark.framework("on")]

BITS = range(9, 16)

OFFERS = [
    NAME,
    AS_BROWSERS,
    f"{NAME}; client_no_context_takeover",
    f"{NAME}; server_no_context_takeover",
    f"{NAME}; server_no_context_takeover; client_no_context_takeover",
    *(f"{NAME}; server_max_window_bits={bits}" for bits in BITS),
    *(f"{NAME}; client_max_window_bits={bits}" for bits in range(8, 16)),
    *(f"{NAME}; server_max_window_bits={bits}; client_max_window_bits={24 - bits}" for bits in BITS),
    f"{NAME}; client_max_window_bits; server_no_context_takeover; server_max_window_bits=10",
    f"{NAME};client_max_window_bits;server_max_window_bits=10",
]
"""Each can be taken."""

LISTS = {
    (f"{NAME}; unknown, {NAME}; server_max_window_bits=10",): f"{NAME}; server_max_window_bits=10",
    (f"{NAME}; server_max_window_bits=8, {NAME}; server_max_window_bits=12",): f"{NAME}; server_max_window_bits=12",
    (f"permessage-bzip2, {AS_BROWSERS}",): AS_BROWSERS,
    ("permessage-bzip2", AS_BROWSERS): AS_BROWSERS,
    (f"{NAME}; unknown=1", f"{NAME}; server_max_window_bits=99", f"{NAME}; server_no_context_takeover"): (
        f"{NAME}; server_no_context_takeover"
    ),
    (f"{NAME}; client_max_window_bits=9, {NAME}; server_no_context_takeover, {NAME}",): (
        f"{NAME}; client_max_window_bits=9"
    ),
    (f"{NAME}; server_max_window_bits=9", NAME): f"{NAME}; server_max_window_bits=9",
    (NAME, f"{NAME}; server_max_window_bits=9"): NAME,
}
"""Of several the first that can be taken is."""

NONE = [
    "permessage-bzip2",
    "x-webkit-deflate-frame",
    f"{NAME}; unknown",
    f"{NAME}; server_no_context_takeover=1",
    f"{NAME}; client_no_context_takeover=true",
    f"{NAME}; server_max_window_bits=7",
    f"{NAME}; server_max_window_bits=8",  # zlib makes none
    f"{NAME}; server_max_window_bits=16",
    f"{NAME}; server_max_window_bits=-9",
    f"{NAME}; server_max_window_bits=x",
    f"{NAME}; server_max_window_bits",
    f"{NAME}; server_max_window_bits=010",
    f"{NAME}; client_max_window_bits=7",
    f"{NAME}; client_max_window_bits=16",
    f"{NAME}; server_no_context_takeover; server_no_context_takeover",
    f"{NAME}; client_max_window_bits; client_max_window_bits=10",
    f"{NAME}; server_max_window_bits=10; server_max_window_bits=11",
    f"x{NAME}",
    f"{NAME}x",
    ", ".join([f"{NAME}; unknown"] * 100),
]
"""None of these can be taken."""

MALFORMED = [
    f"{NAME}; server_max_window_bits=",
    f"{NAME}; client_max_window_bits=",
    f"{NAME}; =10",
    f"{NAME} x",
    f"{NAME};",
    f";{NAME}",
    f'"{NAME}"',
    ",",
    "",
    ";" * 500,
    "\xe4",
]
"""These are no lists of extensions at all; what is offered in one counts for nothing."""

NOT_AIOHTTPS = {
    f"{NAME}; server_max_window_bits=15": NAME,
    f"{NAME}; server_max_window_bits=15; client_max_window_bits=9": NAME,
    f"{NAME}; server_max_window_bits": NAME,
    f"{NAME}; server_max_window_bits=010": f"{NAME}; server_max_window_bits=10",
    f"{NAME}; client_max_window_bits=7": NAME,
    f"{NAME}; client_max_window_bits=16": NAME,
    f"{NAME}; server_no_context_takeover; server_no_context_takeover": f"{NAME}; server_no_context_takeover",
    f"{NAME}; client_max_window_bits; client_max_window_bits=10": NAME,
    f"{NAME}; server_max_window_bits=10; server_max_window_bits=11": f"{NAME}; server_max_window_bits=11",
    f"x{NAME}": NAME,
    f";{NAME}": NAME,
}
"""What aiohttp 3.14 answers though RFC 7692 does not let it."""

LEAST_BITS = 8

WEBSOCKETS_BITS = 12
"""The windows of websockets, and of uvicorn, where the client lets it choose."""


def expected(arm: Arm, deflate: str, offer: str) -> Agreement:
    """Return what is answered to an offer that is taken."""
    parameters = parsed(offer)
    assert parameters is not None
    servers = int(parameters.get("server_max_window_bits") or 15)
    clients = int(parameters.get("client_max_window_bits") or 15)
    keeps = Agreement("server_no_context_takeover" in parameters, "client_no_context_takeover" in parameters, servers)
    if deflate == "once":
        return keeps._replace(server_no_context_takeover=True, client_no_context_takeover=True)
    if arm.framework in {"aiohttp", "autobahn", "daphne"}:
        return keeps._replace(client_no_context_takeover=False)
    if arm.framework == "tornado":
        return keeps._replace(client_max_window_bits=clients)
    if arm.framework == "flask-sock":  # wsproto names the client's window, but knows none of 8 bits
        return keeps._replace(client_max_window_bits=clients if clients > LEAST_BITS else 15)
    assert arm.parses_with_websockets
    if "client_max_window_bits" in parameters:
        keeps = keeps._replace(client_max_window_bits=min(clients, WEBSOCKETS_BITS))
    return keeps._replace(server_max_window_bits=min(servers, WEBSOCKETS_BITS))


def agreement_kept_to(server: RunningServer, *offers: str) -> Agreement | None:
    """Return what is agreed on, once texts have come back that reach behind any window."""
    with open_echo(server, *offers) as client:
        chance = random.Random(offers[0])
        told = [chance.randbytes(chance.randrange(600)).hex().encode() for _ in range(60)]
        for number in range(30):
            text = b"".join(chance.choices(told, k=1 + number % 20))
            client.send_message(TEXT, text)
            assert client.receive_message() == (TEXT, text)
            assert client.agreement or not client.was_packed
        return client.agreement


def errs(server: RunningServer, arm: Arm, deflate: str, offer: str) -> bool:
    """Say whether the library is known to answer an offer as it may not, and look whether it does."""
    if deflate != "on" or arm.framework != "aiohttp" or offer not in NOT_AIOHTTPS:
        return False
    answer = server.upgrade("/echo", {"Sec-WebSocket-Extensions": offer})
    assert (answer.status, answer.headers["sec-websocket-extensions"]) == (101, NOT_AIOHTTPS[offer])
    return True


@pytest.mark.parametrize("offer", OFFERS)
def test_an_offer_is_taken_and_kept_to(deflating: RunningServer, arm: Arm, deflate: str, offer: str) -> None:
    if not errs(deflating, arm, deflate, offer):
        assert agreement_kept_to(deflating, offer) == expected(arm, deflate, offer)


@pytest.mark.parametrize("lines", LISTS, ids=" | ".join)
def test_of_several_the_first_is_taken_that_can_be(
    deflating: RunningServer, arm: Arm, deflate: str, lines: tuple[str, ...]
) -> None:
    assert agreement_kept_to(deflating, *lines) == expected(arm, deflate, LISTS[lines])


@pytest.mark.parametrize("offer", NONE)
def test_what_can_t_be_taken_is_declined(deflating: RunningServer, arm: Arm, deflate: str, offer: str) -> None:
    if not errs(deflating, arm, deflate, offer):
        assert agreement_kept_to(deflating, offer) is None


@pytest.mark.parametrize("header", MALFORMED)
def test_what_is_no_list_offers_nothing(deflating: RunningServer, arm: Arm, deflate: str, header: str) -> None:
    if deflate == "on" and arm.parses_with_websockets:  # RFC 6455, section 9.1, lets it fail the connection
        assert deflating.upgrade("/echo", {"Sec-WebSocket-Extensions": header}).status == 400
    elif not errs(deflating, arm, deflate, header):
        assert agreement_kept_to(deflating, header) is None


@pytest.mark.parametrize("offer", [AS_BROWSERS, OFFERS[-1], f"{NAME}; unknown", f"{NAME};"])
def test_without_deflate_nothing_is_taken(plain_server: RunningServer, offer: str) -> None:
    assert agreement_kept_to(plain_server, offer) is None


@pytest.mark.parametrize("offer", [AS_BROWSERS, f"{NAME}; unknown", f"{NAME};"])
def test_a_refusal_says_nothing_of_it(deflating: RunningServer, offer: str) -> None:
    answer = deflating.upgrade("/connect?room=%20", {"Sec-WebSocket-Extensions": offer})
    assert answer.status == 404
    assert "sec-websocket-extensions" not in answer.headers
