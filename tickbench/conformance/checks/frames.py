"""Checks of WebSocket frames (RFC 6455): wrong ones, fragments, control frames."""

from collections.abc import Mapping
from contextlib import suppress

from shared.wire.frames import CloseCode, Opcode, close_payload
from tickbench.conformance.check import Check, raise_flaws
from tickbench.conformance.peer import ClosedError, EndedError, Peer, SilenceError, client_frame
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


def check_unmasked(subject: ServerUnderTest) -> str | None:
    """Send a frame that is not masked; a server may take it, since aiohttp's reader does."""
    peer = subject.enter()
    peer.send_raw(client_frame(Opcode.TEXT, PING_TEXT, masked=False))
    try:
        peer.until(lambda message: message.has("pong"), "an answer to an unmasked ping")
    except ClosedError as closed:
        if closed.code != CloseCode.PROTOCOL_ERROR:
            raise FaultError(f"an unmasked frame: {closed}", "close 1002, or to take it") from closed
        return None
    return "an unmasked frame is taken; RFC 6455 has a server close with 1002"


def check_reserved_bits(subject: ServerUnderTest) -> str | None:
    """Set the reserved bits, for which no extension was agreed on."""
    _check_protocol_errors(subject, RESERVED_BITS)
    return None


def check_reserved_opcodes(subject: ServerUnderTest) -> str | None:
    """Send frames with reserved opcodes."""
    _check_protocol_errors(subject, RESERVED_OPCODES)
    return None


def check_bad_controls(subject: ServerUnderTest) -> str | None:
    """Send control frames in fragments, or too long."""
    _check_protocol_errors(subject, BAD_CONTROLS)
    return None


def check_bad_fragments(subject: ServerUnderTest) -> str | None:
    """Send fragments that belong to nothing."""
    _check_protocol_errors(subject, BAD_FRAGMENTS)
    return None


def _check_protocol_errors(subject: ServerUnderTest, cases: Mapping[str, bytes]) -> None:
    right = "close 1002"
    flaws: list[str | None] = []
    for what, data in cases.items():
        peer = subject.enter()
        peer.send_raw(data)
        try:
            closed = peer.expect_close(right, what)
        except FaultError as fault:
            flaws.append(fault.seen)
        else:
            flaws.append(None if closed.code == CloseCode.PROTOCOL_ERROR else f"{what}: {closed}")
    raise_flaws(flaws, right)


def check_fragments(subject: ServerUnderTest) -> str | None:
    """Send a message in three fragments with a ping in between."""
    peer = subject.enter()
    parts = [PING_TEXT[:3], PING_TEXT[3:6], PING_TEXT[6:]]
    data = client_frame(Opcode.TEXT, parts[0], fin=False) + client_frame(Opcode.PING, b"amid")
    data += client_frame(Opcode.CONTINUATION, parts[1], fin=False) + client_frame(Opcode.CONTINUATION, parts[2])
    _send_for_pong(peer, data, "a ping in three fragments, a control ping amid")
    return None


def check_pieces(subject: ServerUnderTest) -> str | None:
    """Send a frame byte by byte."""
    peer = subject.enter()
    data = client_frame(Opcode.TEXT, PING_TEXT)
    for byte in data[:-1]:
        peer.send_raw(bytes([byte]))
    _send_for_pong(peer, data[-1:], "a ping sent byte by byte")
    return None


def _send_for_pong(peer: Peer, data: bytes, what: str) -> None:
    peer.send_raw(data)
    try:
        peer.until(lambda message: message.has("pong") or message.is_error, "an answer")
    except (SilenceError, ClosedError, EndedError) as error:
        raise FaultError(f"{what}: {error}", "a pong") from error


def check_many_fragments(subject: ServerUnderTest) -> str | None:
    """Send a message in very many fragments; a server may take it, since aiohttp's reader does."""
    peer = subject.enter()
    middle = client_frame(Opcode.CONTINUATION, b" ", fin=False) * MANY_FRAGMENTS
    data = client_frame(Opcode.TEXT, b"", fin=False) + middle + client_frame(Opcode.CONTINUATION, PING_TEXT)
    with suppress(EndedError):
        peer.send_raw(data)
    try:
        peer.until(lambda message: message.has("pong"), f"an answer to {MANY_FRAGMENTS} fragments")
    except ClosedError as closed:
        if closed.code != CloseCode.POLICY_VIOLATION:
            raise FaultError(f"{MANY_FRAGMENTS} fragments: {closed}", "close 1008, or to take them") from closed
        return None
    return f"a message in {MANY_FRAGMENTS} fragments is taken"


def check_close_echo(subject: ServerUnderTest) -> str | None:
    """Close with codes that may be used."""
    cases = {code: close_payload(code, "bye") for code in ECHOED_CODES}
    flaws = [_flaw_of_close(subject.enter(), payload, code) for code, payload in cases.items()]
    flaws.append(_flaw_of_close(subject.enter(), b"", CloseCode.NORMAL))
    raise_flaws(flaws, "the same code, 1000 where there was none")
    return None


def check_close_code(subject: ServerUnderTest) -> str | None:
    """Close with codes that must not be used."""
    flaws = (_flaw_of_close(subject.enter(), close_payload(code), CloseCode.PROTOCOL_ERROR) for code in BAD_CODES)
    raise_flaws(flaws, "close 1002")
    return None


def _flaw_of_close(peer: Peer, payload: bytes, code: int) -> str | None:
    what = f"a close with {int.from_bytes(payload[:2]) if payload else 'no code'}"
    peer.close(payload)
    try:
        closed = peer.expect_close("", what)
    except FaultError as fault:
        return fault.seen
    answered = code if closed.code is None and not payload else closed.code
    return None if answered == code else f"{what}: {closed}"


def check_control_ping(subject: ServerUnderTest) -> str | None:
    """Send a ping frame."""
    peer = subject.enter()
    flaws = [_flaw_of_pong(peer, payload) for payload in (b"tickbench", b"", b"\x00\xff" * 62)]
    raise_flaws(flaws, "a pong frame with the same payload")
    return None


def _flaw_of_pong(peer: Peer, payload: bytes) -> str | None:
    peer.send_raw(client_frame(Opcode.PING, payload))
    frame = peer.next_pong()
    return None if frame == payload else f"a ping frame with {quote(payload)} was answered by {quote(frame)}"


CHECKS = (
    Check("unmasked", "An unmasked frame: close 1002 (or it is taken).", check_unmasked),
    Check("reserved-bits", "A reserved bit is a protocol error: close 1002.", check_reserved_bits),
    Check("reserved-opcodes", "A reserved opcode is a protocol error: close 1002.", check_reserved_opcodes),
    Check("control-frames", "A control frame in fragments or over 125 bytes: close 1002.", check_bad_controls),
    Check("continuations", "A fragment that belongs to nothing: close 1002.", check_bad_fragments),
    Check("fragments", "A message in fragments is a message, whatever control frames come amid.", check_fragments),
    Check("pieces", "A frame that comes byte by byte is a frame.", check_pieces),
    Check(
        "many-fragments", "More than 256 fragments of a message: close 1008 (or they are taken).", check_many_fragments
    ),
    Check("close-echo", "A close frame is answered by one with the same code.", check_close_echo),
    Check("close-code", "A close code that must not be used is answered by 1002.", check_close_code),
    Check("control-ping", "A ping frame is answered by a pong frame with the same payload.", check_control_ping),
)
