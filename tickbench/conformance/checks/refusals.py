"""Checks of messages that are refused, and of similar ones that are not."""

from shared.wire.frames import Opcode
from tickbench.conformance.check import Check, raise_flaws
from tickbench.conformance.peer import ClosedError, EndedError, Peer, SilenceError, client_frame, declared_frame
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.verdict import FaultError, quote

NOT_JSON = ("", "not json", "[1,2", '["join"]]', "'join'")
UNKNOWN = ('["leave"]', "{}", '["JOIN"]', "null", "37.5", '["tick",1,2,3]')
WRONG_ARGUMENTS = ('["join",1]', '["ping"]', '["ping","1"]', '["ping",1,2]')
PING = client_frame(Opcode.TEXT, b'["ping",1]')
ERROR = '[["error", why]]'
GRACE_S = 0.5
"""How long after the answer to a later ping the answer to a fault may come."""
LARGEST_BYTES = 4096
HALF = b" " * 3000
MOST_MESSAGES = 60
LIVELY = 50
FLOOD = 300


def check_not_json(subject: ServerUnderTest) -> str | None:
    """Send what is not JSON."""
    _check_errors(subject, NOT_JSON)
    return None


def check_unknown_command(subject: ServerUnderTest) -> str | None:
    """Send what is not a command."""
    _check_errors(subject, UNKNOWN)
    return None


def check_wrong_arguments(subject: ServerUnderTest) -> str | None:
    """Send commands with wrong arguments."""
    _check_errors(subject, WRONG_ARGUMENTS)
    return None


def check_second_new_player(subject: ServerUnderTest) -> str | None:
    """Send ``new_player`` again."""
    _check_errors(subject, ('["new_player","again"]',))
    return None


def _check_errors(subject: ServerUnderTest, texts: tuple[str, ...]) -> None:
    flaws = []
    for first in range(0, len(texts), 2):  # the third on one connection would close it
        peer = subject.enter()
        flaws += [_flaw_of_answer(peer, text) for text in texts[first : first + 2]]
    raise_flaws(flaws, ERROR)


def _flaw_of_answer(peer: Peer, text: str) -> str | None:
    what = text or "an empty text"
    peer.send_text(text)
    try:
        before = [message for message in peer.settle() if not message.tick and not message.has("pong")]
        answer = before[0] if before else peer.next_personal("an answer", GRACE_S)
    except (SilenceError, ClosedError, EndedError) as error:
        return f"{what}: {error}"
    return None if answer.is_error else f"{what} was answered by {quote(answer.text)}"


def check_third_fault(subject: ServerUnderTest) -> str | None:
    """Send three faults: the first two are answered."""
    peer = subject.enter()
    for _ in range(2):
        peer.send_text("not json")
        try:
            peer.next_personal("an answer")
        except ClosedError as closed:
            raise FaultError(f"before the third fault {closed}", ERROR) from closed
        except SilenceError:
            break  # there is a check for that
    _check_close(peer, client_frame(Opcode.TEXT, b"not json") * 3, 1008, "three faults within 10 s")
    return None


def check_too_large(subject: ServerUnderTest) -> str | None:
    """Send messages over 4 KiB, in one frame and in two; and a frame that only declares a length over it."""
    halves = client_frame(Opcode.TEXT, HALF, fin=False) + client_frame(Opcode.CONTINUATION, HALF)
    _check_close(subject.enter(), halves, 1009, "a message over 4 KiB in two frames")
    _check_close(subject.enter(), client_frame(Opcode.TEXT, b" " * LARGEST_BYTES + b"37"), 1009, "a message over 4 KiB")
    _check_close(subject.enter(), declared_frame(2**40), 1009, "a frame that declares 1 TiB and brings nothing")
    return None


def check_large(subject: ServerUnderTest) -> str | None:
    """Send a message of just 4 KiB."""
    peer = subject.enter()
    peer.send_text('["ping",1]'.ljust(LARGEST_BYTES))
    try:
        peer.until(lambda message: message.has("pong"), "the answer to a ping of 4,096 bytes")
    except ClosedError as closed:
        raise FaultError(f"a message of 4,096 bytes: {closed}", "a pong: only more than 4 KiB is refused") from closed
    return None


def check_binary(subject: ServerUnderTest) -> str | None:
    """Send a binary message."""
    _check_close(subject.enter(), client_frame(Opcode.BINARY, b"37"), 1003, "a binary message")
    return None


def check_flood(subject: ServerUnderTest) -> str | None:
    """Send many more messages in a second than a client may."""
    _check_close(subject.enter(), PING * FLOOD, 1008, f"{FLOOD} messages at once")
    _check_close(subject.enter(), client_frame(Opcode.PING, b"x") * FLOOD, 1008, f"{FLOOD} control pings at once")
    return None


def check_lively(subject: ServerUnderTest) -> str | None:
    """Send about as many messages in a second as a client may."""
    peer = subject.enter()
    peer.send_raw(PING * LIVELY)
    try:
        for _ in range(LIVELY):
            peer.until(lambda message: message.has("pong"), f"the answers to {LIVELY} pings at once")
    except ClosedError as closed:
        raise FaultError(
            f"{LIVELY + 1} messages: {closed}", f"only more than {MOST_MESSAGES} a second close"
        ) from closed
    return None


def check_utf8(subject: ServerUnderTest) -> str | None:
    """Send text that is not UTF-8."""
    for text in (b'["new_player","\xff"]', b'"\xed\xa0\x80"', b'"\xc0\xaf"'):
        _check_close(subject.enter(), client_frame(Opcode.TEXT, text), 1007, f"invalid UTF-8 ({text!r})")
    return None


def _check_close(peer: Peer, data: bytes, code: int, what: str) -> None:
    right = f"close {code}"
    peer.send_raw(data)
    closed = peer.expect_close(right, what)
    if closed.code != code:
        raise FaultError(f"{what}: {closed}", right)


CHECKS = (
    Check("not-json", "What is not JSON is answered by an error.", check_not_json),
    Check("unknown-command", "An unknown command is answered by an error.", check_unknown_command),
    Check("wrong-arguments", "Wrong types or number of arguments are answered by an error.", check_wrong_arguments),
    Check("second-new-player", "A second new_player is answered by an error.", check_second_new_player),
    Check("third-fault", "The third fault within 10 s closes with 1008.", check_third_fault),
    Check("too-large", "A message over 4 KiB: close 1009, as soon as its length is declared.", check_too_large),
    Check("large", "A message of 4 KiB is taken.", check_large),
    Check("binary", "A binary message: close 1003.", check_binary),
    Check("flood", "More than 60 messages a second, control frames among them: close 1008.", check_flood),
    Check("lively", "Up to 60 messages a second are taken.", check_lively),
    Check("invalid-utf8", "Invalid UTF-8: close 1007.", check_utf8),
)
