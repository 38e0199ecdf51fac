"""Checks of messages that are refused, and of similar ones that are not."""

from shared.wire.frames import CloseCode, Opcode
from tickbench.conformance.check import ERROR, about, check, need_close, need_errors, raise_flaws
from tickbench.conformance.peer import ClosedError, SilenceError, client_frame, declared_frame
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.verdict import FaultError

NOT_JSON = ("", "not json", "[1,2", '["join"]]', "'join'")
UNKNOWN = ('["leave"]', "{}", '["JOIN"]', "null", "37.5", '["tick",1,2,3]')
WRONG_ARGUMENTS = ('["join",1]', '["ping"]', '["ping","1"]', '["ping",1,2]')
FAULT = client_frame(Opcode.TEXT, b"not json")
PING = client_frame(Opcode.TEXT, b'["ping",1]')
LARGEST_BYTES = 4096
HALF = b" " * 3000
TOO_LARGE = {
    "a message over 4 KiB in two frames": client_frame(Opcode.TEXT, HALF, fin=False)
    + client_frame(Opcode.CONTINUATION, HALF),
    "a message over 4 KiB": client_frame(Opcode.TEXT, b" " * LARGEST_BYTES + b"37"),
    "a frame that declares 1 TiB and brings nothing": declared_frame(2**40),
}
NOT_UTF8 = (b'["new_player","\xff"]', b'"\xed\xa0\x80"', b'"\xc0\xaf"')
MOST_MESSAGES = 60
LIVELY = 50
FLOOD = 300


@check("What is not JSON is answered by an error.", grade="hardening")
def not_json(server: ServerUnderTest) -> None:
    need_errors(server.enter, NOT_JSON)


@check("An unknown command is answered by an error.", grade="hardening")
def unknown_command(server: ServerUnderTest) -> None:
    need_errors(server.enter, UNKNOWN)


@check("Wrong types or number of arguments are answered by an error.", grade="hardening")
def wrong_arguments(server: ServerUnderTest) -> None:
    need_errors(server.enter, WRONG_ARGUMENTS)


@check("A second new_player is answered by an error.", grade="hardening")
def second_new_player(server: ServerUnderTest) -> None:
    need_errors(server.enter, ('["new_player","again"]',))


@check("The third fault within 10 s closes with 1008.", "close 1008", grade="hardening")
def third_fault(server: ServerUnderTest) -> None:
    """Send three faults: the first two are answered."""
    peer = server.enter()
    try:
        for _ in range(2):
            peer.send_raw(FAULT)
            peer.next_personal("an answer")
    except ClosedError as closed:
        raise FaultError(f"before the third fault {closed}", ERROR) from closed
    except SilenceError:
        pass  # there is a check for that
    peer.send_raw(FAULT * 3)
    raise_flaws([peer.close_flaw("three faults within 10 s", CloseCode.POLICY_VIOLATION)])


@check("A message over 4 KiB: close 1009, as soon as its length is declared.", grade="hardening")
def too_large(server: ServerUnderTest) -> None:
    need_close(server, CloseCode.MESSAGE_TOO_BIG, TOO_LARGE)


@check("A message of 4 KiB is taken.", "a pong: only more than 4 KiB is refused", grade="interoperability")
def large(server: ServerUnderTest) -> None:
    peer = server.enter()
    peer.send_text('["ping",1]'.ljust(LARGEST_BYTES))
    with about("a message of 4,096 bytes"):
        peer.next_with("pong", "the answer to a ping")


@check("A binary message: close 1003.", grade="hardening")
def binary(server: ServerUnderTest) -> None:
    need_close(server, CloseCode.UNSUPPORTED_DATA, {"a binary message": client_frame(Opcode.BINARY, b"37")})


@check("More than 60 messages a second, control frames among them: close 1008.", grade="hardening")
def flood(server: ServerUnderTest) -> None:
    pings = client_frame(Opcode.PING, b"x") * FLOOD
    cases = {f"{FLOOD} messages at once": PING * FLOOD, f"{FLOOD} control pings at once": pings}
    need_close(server, CloseCode.POLICY_VIOLATION, cases)


@check(
    "Up to 60 messages a second are taken.", f"only more than {MOST_MESSAGES} a second close", grade="interoperability"
)
def lively(server: ServerUnderTest) -> None:
    peer = server.enter()
    peer.send_raw(PING * LIVELY)
    with about(f"{LIVELY + 1} messages"):
        for _ in range(LIVELY):
            peer.next_with("pong", f"the answers to {LIVELY} pings at once")


@check("Invalid UTF-8: close 1007.", grade="hardening")
def invalid_utf8(server: ServerUnderTest) -> None:
    cases = {f"invalid UTF-8 ({text!r})": client_frame(Opcode.TEXT, text) for text in NOT_UTF8}
    need_close(server, CloseCode.INVALID_TEXT, cases)
