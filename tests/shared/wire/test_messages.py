"""What clients may say, and what they are told, is what the protocol's tables say."""

import json
import unicodedata

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.game.changes import CellChanged, Change
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
    clean_name,
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
        ("99999999999999999999", Ignored()),
        ('["ping",17]', Ping(17)),
        ('["ping",-2.5]', Ping(-2.5)),
        ('["ping",0]', Ping(0)),
        ('["ping",1763694000123.25]', Ping(1763694000123.25)),
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
        ("[" * 4096, "not JSON"),
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
    ],
)
def test_anything_else_is_the_client_s_fault(text: str, why: str) -> None:
    with pytest.raises(ClientError, match=f"^{why}$"):
        decode_client_message(text)


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


# Names


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("ann", "ann"),
        ("a", "a"),
        ("x" * 15, "x" * 15),
        ("  ann\t", "ann"),
        ("\u3000ann\u2003", "ann"),
        ("an n", "an n"),
        ("a\x00n\x1bn\x7f\x85", "ann"),
        ("\x00 ann \x00", "ann"),
        (" " * 40 + "ann", "ann"),
        ("x" * 15 + "\n", "x" * 15),
        ("<b>&amp;", "<b>&amp;"),
        ("\U0001f40d" * 15, "\U0001f40d" * 15),
    ],
)
def test_a_name_loses_control_characters_and_outer_white_space(name: str, cleaned: str) -> None:
    assert clean_name(name) == cleaned


@pytest.mark.parametrize("name", ["", " ", "\x00", "\n \t", "x" * 16, " x" + "y" * 15, "\U0001f40d" * 16])
def test_a_name_has_1_to_15_characters(name: str) -> None:
    with pytest.raises(ClientError, match="1 to 15"):
        clean_name(name)


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\x00\x1f\x7f \t\u2028"), max_size=20))
def test_a_cleaned_name_is_clean(name: str) -> None:
    try:
        cleaned = clean_name(name)
    except ClientError:
        return
    assert 1 <= len(cleaned) <= 15
    assert cleaned == cleaned.strip()
    assert "Cc" not in {unicodedata.category(char) for char in cleaned}
    assert clean_name(cleaned) == cleaned


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
