"""What clients may say, and what they are told, is what the protocol's tables say."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.game.changes import CellChanged, Change
from shared.wire import messages
from shared.wire.errors import ClientError
from shared.wire.messages import (
    ClientMessage,
    ErrorText,
    Handshake,
    Ignored,
    JoinRequest,
    Key,
    NewPlayer,
    Pad,
    Ping,
    Pong,
    Tick,
    decode_client_message,
    encode_commands,
    encode_world,
    join_arrays,
)
from tests.shared.opcodes import count_opcodes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)
WORDS: st.SearchStrategy[object] = st.sampled_from(["new_player", "join", "ping", "tick", 37, 1.5, True, None, "ann"])
NEARLY = st.lists(WORDS, max_size=4)


LONG = {
    "9" * 4096: "an integer has at most 64 bits",
    "9" * 4095 + "x": "not JSON",
    "1." + "9" * 4000: "unknown command",
    '["ping",' + "9" * 4000 + "]": "a number has at most 32 characters",
    '["ping",-' + "9" * 4000 + "]": "a number has at most 32 characters",
    '["ping",0.' + "9" * 4000 + "]": "a number has at most 32 characters",
    '["ping",1e' + "9" * 4000 + "]": "a number has at most 32 characters",
    '["ping",1e-' + "0" * 4000 + "]": "a number has at most 32 characters",
    '["ping",[' + "9" * 4000 + "]]": "wrong arguments for ping",
    '["ping",1,' + "9" * 4000 + "]": "wrong arguments for ping",
    '["join",' + ",".join(["1e300"] * 680) + "]": "wrong arguments for join",
    '["fly",' + "9" * 4000 + "]": "unknown command",
    '["fly",' + ",".join(["5e-324"] * 580) + "]": "unknown command",
    "[" + ",".join(["1e300"] * 680) + "]": "unknown command",
    "[" + ",".join(["[]"] * 1300) + "]": "a message has at most 64 brackets",
    '["' + "x" * 4000 + '"]': "unknown command",
    '["' + "\\u006a" * 600 + '"]': "unknown command",
    '"' + "\\ud83d\\ude00" * 300 + '"': "unknown command",
    '{"' + "x" * 4000 + '":1}': "unknown command",
    "{" + ",".join(f'"{n}":{n}' for n in range(400)) + "}": "unknown command",
    '{"":' * 500 + "9" * 1000 + "}" * 500: "a message has at most 64 brackets",
    "[" * 4096: "a message has at most 64 brackets",
    '["ping",' + "[" * 2000 + "]" * 2001: "a message has at most 64 brackets",
    '["new_player","' + "x" * 4000 + '"]': "a name has at most 256 bytes as JSON",
    '["new_player","' + " " * 4000 + '"]': "a name has at most 256 bytes as JSON",
    '["new_player","' + "\\u0061" * 600 + '"]': "a name has at most 256 bytes as JSON",
    '["new_player","e' + "\u0301" * 1900 + '"]': "a name has at most 256 bytes as JSON",
}
"""What takes msgspec up to 5 ms where it is decoded."""


# From clients


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('["new_player","ann"]', NewPlayer("ann")),
        ('["new_player", "\\u0061nn" ]', NewPlayer("ann")),
        ('["join"]', JoinRequest()),
        (' [ "join" ]\n', JoinRequest()),
        ("37", Key(37)),
        ("38", Key(38)),
        ("39", Key(39)),
        ("40", Key(40)),
        (" 40 ", Key(40)),
        ("36", Ignored()),
        ("41", Ignored()),
        ("0", Ignored()),
        ("-37", Ignored()),
        ("18446744073709551615", Ignored()),
        ("-9223372036854775808", Ignored()),
        ('["ping",17]', Ping(17)),
        ('["ping",-2.5]', Ping(-2.5)),
        ('["ping",0]', Ping(0)),
        ('["ping",1763694000123.25]', Ping(1763694000123.25)),
        ('["ping",18446744073709551615]', Ping(2**64 - 1)),
        ('["ping",-9223372036854775808]', Ping(-(2**63))),
        ('["ping",1e308]', Ping(1e308)),
        ('["ping",-2.2250738585072014e-308]', Ping(-2.2250738585072014e-308)),
        ('["p\\u0069ng",0.0]', Ping(0.0)),
        (" " * 2000 + "37" + "\n" * 2000, Key(37)),
        (" " * 2000 + '["join"]' + "\n" * 2000, JoinRequest()),
    ],
)
def test_a_valid_message_is_decoded(text: str, message: ClientMessage) -> None:
    decoded = decode_client_message(text)
    assert decoded == message
    assert type(decoded) is type(message)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON"),
        ("join", "not JSON"),
        ('["join"', "not JSON"),
        ('["join"]]', "not JSON"),
        ("['join']", "not JSON"),
        ("NaN", "not JSON"),
        ('["ping",NaN]', "not JSON"),
        ('"\\ud800"', "not JSON"),
        ("[" * 65 + "]" * 65, "a message has at most 64 brackets"),
        ("[" * 64 + "]" * 64, "unknown command"),
        ("null", "unknown command"),
        ("true", "unknown command"),
        ("false", "unknown command"),
        ("37.0", "unknown command"),
        ('"join"', "unknown command"),
        ("{}", "unknown command"),
        ('{"join":1}', "unknown command"),
        ("[]", "unknown command"),
        ("[37]", "unknown command"),
        ('["JOIN"]', "unknown command"),
        ('[["join"]]', "unknown command"),
        ('["tick",1,2,3]', "unknown command"),
        ('["join",1]', "wrong arguments for join"),
        ('["join","ann"]', "wrong arguments for join"),
        ('["new_player"]', "wrong arguments for new_player"),
        ('["new_player",7]', "wrong arguments for new_player"),
        ('["new_player",null]', "wrong arguments for new_player"),
        ('["new_player",["ann"]]', "wrong arguments for new_player"),
        ('["new_player","ann",1]', "wrong arguments for new_player"),
        ('["ping"]', "wrong arguments for ping"),
        ('["ping","1"]', "wrong arguments for ping"),
        ('["ping",true]', "wrong arguments for ping"),
        ('["ping",false]', "wrong arguments for ping"),
        ('["ping",null]', "wrong arguments for ping"),
        ('["ping",1,2]', "wrong arguments for ping"),
        ('["new_player",""]', "a name has 1 to 15 characters"),
        ("18446744073709551616", "an integer has at most 64 bits"),
        ("-9223372036854775809", "an integer has at most 64 bits"),
        ("-" + "9" * 4000, "an integer has at most 64 bits"),
        ('["ping",18446744073709551616]', "an integer has at most 64 bits"),
        ('["ping",-9223372036854775809]', "an integer has at most 64 bits"),
        ('["ping",1e999999999]', "no double holds this number"),
        ('["ping",-1e999]', "no double holds this number"),
        ('["ping",1e' + "9" * 20 + "]", "no double holds this number"),
        *LONG.items(),
    ],
    ids=lambda text: text if len(text) < 50 else f"{text[:20]}... of {len(text)}",
)
def test_anything_else_is_the_client_s_fault(text: str, why: str) -> None:
    with pytest.raises(ClientError, match=f"^{why}$"):
        decode_client_message(text)


@pytest.mark.parametrize("text", LONG, ids=lambda text: f"{text[:20]}... of {len(text)}")
def test_what_is_long_is_refused_before_it_is_decoded(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for a look whether it is JSON, which makes no value of it; and it is not said back."""
    decoded = [0]

    def decode(part: Any) -> Any:
        decoded.append(len(part))
        return json.loads(part)

    for name in ("_decode_string", "_decode_number", "int"):
        monkeypatch.setattr(messages, name, decode, raising=False)
    with pytest.raises(ClientError) as caught:
        decode_client_message(text)
    assert max(decoded) < 16
    assert len(str(caught.value)) < 50


@given(st.text() | JSON.map(json.dumps) | NEARLY.map(json.dumps) | st.integers().map(str))
@settings(max_examples=400)
@example("9" * 4096)
@example('["ping",' + "9" * 4087 + "]")
@example('["ping",' + "9" * 5000 + "]")
@example('["ping",1e999]')
@example('{"a":' * 800)
def test_no_text_raises_anything_but_a_client_error(text: str) -> None:
    try:
        message = decode_client_message(text)
    except ClientError:
        return
    if isinstance(message, Ping):
        pong = msgspec.json.decode(encode_commands([Pong(message.t, 5)]))
        assert pong == [["pong", message.t, 5]]


# To clients


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (Tick(5, 1_000_000, 1_000_123), b'["tick",5,1000000,1000123]'),
        (Handshake("ann", 7), b'["handshake","ann",7]'),
        (Pong(1.5, 99), b'["pong",1.5,99]'),
        (Pong(7, 99), b'["pong",7,99]'),
        (ErrorText("no"), b'["error","no"]'),
        (Pad("..."), b'["pad","..."]'),
    ],
)
def test_a_command_is_an_array_without_white_space(command: Change, text: bytes) -> None:
    assert encode_commands([command]) == b"[" + text + b"]"
    assert encode_commands([command, command]) == b"[" + text + b"," + text + b"]"


def test_text_is_utf_8_and_escaped() -> None:
    assert encode_commands([Handshake('"\u00e9\U0001f40d\\', 1)]) == '[["handshake","\\"é\U0001f40d\\\\",1]]'.encode()


def test_no_commands_are_an_empty_array() -> None:
    assert encode_commands([]) == b"[]"


@given(st.lists(JSON | st.lists(JSON)))
def test_joined_arrays_hold_what_they_held(values: list[object]) -> None:
    arrays = [value if isinstance(value, list) else [value] for value in values]
    joined = join_arrays(*[msgspec.json.encode(array) for array in arrays])
    assert json.loads(joined) == [item for array in arrays for item in array]


def test_joining_adds_no_white_space() -> None:
    assert join_arrays(b"[1]", b"[]", b"[2,3]") == b"[1,2,3]"
    assert join_arrays(b"[]", b"[]") == join_arrays() == b"[]"


# The world

CELLS = st.dictionaries(
    st.tuples(st.integers(0, 12), st.integers(0, 7)),
    st.tuples(st.sampled_from('%@*x+#19>\u00e9"\\'), st.integers(0, 6)),
    max_size=30,
)


@given(CELLS)
def test_a_world_is_rows_of_char_and_color(cells: dict[tuple[int, int], tuple[str, int]]) -> None:
    changes = [CellChanged(x, y, *cell) for (x, y), cell in cells.items()]
    rows = [[cells.get((x, y), (" ", 0)) for x in range(13)] for y in range(8)]
    straight = json.dumps([["world", rows]], separators=(",", ":"), ensure_ascii=False)
    assert encode_world(changes, 13, 8) == straight.encode()


def test_an_empty_world_is_all_spaces() -> None:
    assert encode_world([], 2, 2) == b'[["world",[[[" ",0],[" ",0]],[[" ",0],[" ",0]]]]]'


def test_an_empty_row_of_a_world_costs_next_to_nothing() -> None:
    assert count_opcodes(lambda: encode_world([], 100, 1000)) == count_opcodes(lambda: encode_world([], 100, 10))
