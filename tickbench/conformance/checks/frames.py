"""Checks of WebSocket frames (RFC 6455): wrong ones, fragments, control frames."""

from contextlib import suppress

from shared.wire.frames import CloseCode, Opcode, close_payload
from tickbench.conformance.check import about, check, need_close, raise_flaws
from tickbench.conformance.peer import GRACE_S, ClosedError, EndedError, NoMessageError, Peer, client_frame
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.verdict import FaultError, quote

RESERVED_BITS = {f"reserved bit {bit}": client_frame(Opcode.TEXT, b"37", reserved=4 >> bit - 1) for bit in (1, 2, 3)}
RESERVED_OPCODES = {f"opcode {code}": client_frame(code, b"37") for code in (3, 7, 11, 15)}
BAD_CONTROLS = {
    "a ping in fragments": client_frame(Opcode.PING, b"x", fin=False),
    "a ping of 126 bytes": client_frame(Opcode.PING, b"x" * 126),
    "a close of 126 bytes": client_frame(Opcode.CLOSE, b"\x03\xe8" + b"x" * 124),
    "a close of one byte": client_frame(Opcode.CLOSE, b"\x03"),
}
BAD_FRAGMENTS = {
    "a continuation of nothing": client_frame(Opcode.CONTINUATION, b"37"),
    "a text amid fragments": client_frame(Opcode.TEXT, b"3", fin=False) + client_frame(Opcode.TEXT, b"37"),
}
PING_TEXT = b'["ping",7]'
MANY_FRAGMENTS = 300
ECHOED_CODES = (1000, 1001, 3000, 4999)
BAD_CODES = (0, 999, 1005, 1006, 1015, 2999, 5000)


@check("An unmasked frame: close 1002 (or it is taken).", "close 1002, or to take it", grade="hardening")
def unmasked(server: ServerUnderTest) -> str | None:
    data = client_frame(Opcode.TEXT, PING_TEXT, masked=False)
    taken = _closed_or_taken(server.enter(), data, "an unmasked frame", CloseCode.PROTOCOL_ERROR)
    return "an unmasked frame is taken; RFC 6455 has a server close with 1002" if taken else None


@check("A reserved bit is a protocol error: close 1002.", grade="hardening")
def reserved_bits(server: ServerUnderTest) -> None:
    need_close(server, CloseCode.PROTOCOL_ERROR, RESERVED_BITS)


@check("A reserved opcode is a protocol error: close 1002.", grade="hardening")
def reserved_opcodes(server: ServerUnderTest) -> None:
    need_close(server, CloseCode.PROTOCOL_ERROR, RESERVED_OPCODES)


@check("A control frame in fragments or over 125 bytes: close 1002.", grade="hardening")
def control_frames(server: ServerUnderTest) -> None:
    need_close(server, CloseCode.PROTOCOL_ERROR, BAD_CONTROLS)


@check("A fragment that belongs to nothing: close 1002.", grade="hardening")
def continuations(server: ServerUnderTest) -> None:
    need_close(server, CloseCode.PROTOCOL_ERROR, BAD_FRAGMENTS)


@check("A message in fragments is a message, whatever control frames come amid.", "a pong", grade="interoperability")
def fragments(server: ServerUnderTest) -> None:
    peer = server.enter()
    peer.send_raw(client_frame(Opcode.TEXT, PING_TEXT[:3], fin=False) + client_frame(Opcode.PING, b"amid"))
    peer.send_raw(client_frame(Opcode.CONTINUATION, PING_TEXT[3:6], fin=False))
    peer.send_raw(client_frame(Opcode.CONTINUATION, PING_TEXT[6:]))
    _need_answer(peer, "a ping in three fragments, a control ping amid")


@check("A frame that comes byte by byte is a frame.", "a pong", grade="interoperability")
def pieces(server: ServerUnderTest) -> None:
    peer = server.enter()
    for byte in client_frame(Opcode.TEXT, PING_TEXT):
        peer.send_raw(bytes([byte]))
    _need_answer(peer, "a ping sent byte by byte")


def _need_answer(peer: Peer, what: str) -> None:
    with about(what):
        peer.until(lambda message: message.has("pong") or message.is_error, "an answer")


@check(
    "More than 256 fragments of a message: close 1008 (or they are taken).",
    "close 1008, or to take them",
    grade="hardening",
)
def many_fragments(server: ServerUnderTest) -> str | None:
    middle = client_frame(Opcode.CONTINUATION, b" ", fin=False) * MANY_FRAGMENTS
    data = client_frame(Opcode.TEXT, b"", fin=False) + middle + client_frame(Opcode.CONTINUATION, PING_TEXT)
    taken = _closed_or_taken(server.enter(), data, f"{MANY_FRAGMENTS} fragments", CloseCode.POLICY_VIOLATION)
    return f"a message in {MANY_FRAGMENTS} fragments is taken" if taken else None


def _closed_or_taken(peer: Peer, ping: bytes, what: str, code: int) -> bool:
    """Return whether a ping that a server may close for is answered; aiohttp's reader takes it."""
    with suppress(EndedError):
        peer.send_raw(ping)
    try:
        peer.next_with("pong", f"an answer to {what}")
    except ClosedError as closed:
        if closed.code != code:
            raise FaultError(f"{what}: {closed}") from closed
        return False
    return True


@check(
    "A close frame is answered by one with the same code; nothing counts behind it.",
    "the same code, 1000 where there was none, and nothing else",
    grade="interoperability",
)
def close_echo(server: ServerUnderTest) -> None:
    flaws = [_close_flaw(server.enter(), close_payload(code, "bye"), code) for code in ECHOED_CODES]
    raise_flaws([*flaws, _close_flaw(server.enter(), b"", CloseCode.NORMAL, None)])


@check("A close code that must not be used is answered by 1002.", "close 1002", grade="hardening")
def close_code(server: ServerUnderTest) -> None:
    raise_flaws(_close_flaw(server.enter(), close_payload(code), CloseCode.PROTOCOL_ERROR) for code in BAD_CODES)


def _close_flaw(peer: Peer, payload: bytes, *codes: int | None) -> str | None:
    """Close, with a ping behind it; say what came of that in place of one of ``codes`` and an end."""
    what = f"a close with {int.from_bytes(payload[:2]) if payload else 'no code'}"
    peer.close(payload, client_frame(Opcode.TEXT, PING_TEXT))
    flaw = peer.close_flaw(what, *codes)
    with suppress(NoMessageError):
        peer.next(patience_s=GRACE_S)
        return flaw or f"behind the answer to {what} came {quote(peer.heard[-1].text)}"
    return flaw or next((f"a ping behind {what} was answered" for message in peer.heard if message.has("pong")), None)


@check(
    "A ping frame is answered by a pong frame with the same payload.",
    "a pong frame with the same payload",
    grade="interoperability",
)
def control_ping(server: ServerUnderTest) -> None:
    peer = server.enter()
    raise_flaws([_ping_flaw(peer, payload) for payload in (b"tickbench", b"", b"\x00\xff" * 62)])


def _ping_flaw(peer: Peer, payload: bytes) -> str | None:
    peer.send_raw(client_frame(Opcode.PING, payload))
    answer = peer.next_pong_frame()
    return None if answer == payload else f"a ping frame with {quote(payload)} was answered by {quote(answer)}"
