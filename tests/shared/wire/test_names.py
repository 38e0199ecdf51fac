"""What a player may be called, and what is made of it."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.wire.errors import ClientError
from shared.wire.names import clean_name

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
SURFER = "\U0001f3c4\U0001f3fd\u200d\u2640\ufe0f"
ODD = (
    "\x00\x1f\x7f \t\u2028\u200b\u200d\u202e\u2066\ufe0f\u0301\u0323\u3164"
    "\U0001f40d\U0001f3fd\u00e9e\u0378\ue000\u2764\U0001d15f"
)


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("ann", "ann"),
        ("a", "a"),
        ("x" * 15, "x" * 15),
        ("  ann\t", "ann"),
        ("\u3000ann\u2003", "ann"),
        ("an n", "an n"),
        ("an  n", "an  n"),
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


@pytest.mark.parametrize(
    "char",
    [chr(code) for code in (0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0xAD, 0x180E, 0x61C, 0x200E, 0x200F)]
    + [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029)]
    + [chr(code) for code in (0x378, 0xE000, 0xF0000, 0xE0041, 0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0, 0xD800)]
    + [chr(code) for code in (0x13441, 0x13442, 0x1D159)],
    ids=ascii,
)
def test_what_nobody_sees_is_taken_out_and_is_no_name(char: str) -> None:
    """Zero-width and direction, separators of lines, unassigned, private use, tags, and blanks that pass as letters."""
    assert clean_name(f"{char}a{char}{char}nn{char}") == "ann"
    for nothing in (char, char * 15, f" {char} {char}\t"):
        with pytest.raises(ClientError, match="1 to 15"):
            clean_name(nothing)


@pytest.mark.parametrize("name", ["\u0301", "\u0301\u0323", " \u0301", "\ufe0f", "\u20e3", "\u200d\u0301 \u034f"])
def test_marks_alone_are_no_name(name: str) -> None:
    with pytest.raises(ClientError, match="1 to 15"):
        clean_name(name)


def test_one_name_is_written_in_one_way() -> None:
    """Composed or not, with marks in whatever order, with one space or another, with something unseen in it or not."""
    assert clean_name("Ame\u0301lie") == clean_name("Am\u00e9lie") == "Am\u00e9lie"
    assert clean_name("e\u0323\u0302") == clean_name("e\u0302\u0323") == "\u1ec7"
    assert clean_name("e\u200b\u0301") == "\u00e9"
    assert clean_name("an\u00a0n") == clean_name("an\u3000n") == "an n"
    assert clean_name("a\u212b\u2126") == "a\u00c5\u03a9"


@pytest.mark.parametrize(
    "name",
    ["\u0e19\u0e49\u0e33", "\u05e9\u05c1\u05bc\u05b8", "\u0928\u094d\u0926\u0940", "\u1ec7", "1\ufe0f\u20e3", "ḉ"],
)
def test_scripts_that_are_written_with_marks_keep_them(name: str) -> None:
    assert clean_name(name) == unicodedata.normalize("NFC", name)


def test_a_character_has_at_most_three_marks() -> None:
    assert clean_name("x" + "\u0301" * 100 + "q" + "\u0323" * 4) == "x" + "\u0301" * 3 + "q" + "\u0323" * 3


@pytest.mark.parametrize("name", [FAMILY, SURFER, f"a {FAMILY}", "\u2764\ufe0f\u200d\U0001f525", f"{SURFER}x"])
def test_emoji_stay_joined(name: str) -> None:
    assert clean_name(name) == name


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("\u200d\U0001f40d\u200d", "\U0001f40d"),
        ("\U0001f40d\u200da", "\U0001f40da"),
        ("a\u200d\U0001f40d", "a\U0001f40d"),
        ("\U0001f40d\u200d\u200d\U0001f40d", "\U0001f40d\u200d\U0001f40d"),
        ("\U0001f40d\u202e\u200d\u202e\U0001f40d", "\U0001f40d\u200d\U0001f40d"),
        ("\U0001f40d\u202e\U0001f40d", "\U0001f40d\U0001f40d"),
        ("\U0001f40d\u200d \U0001f40d", "\U0001f40d \U0001f40d"),
        ("\ufe0f\u200d\u2764", "\u2764"),
        ("\u2764 \ufe0f\u200d\u2764", "\u2764 \u2764"),
        ("\U0001d15f\u200d\u2764", "\U0001d158\U0001d165\u2764"),
    ],
    ids=ascii,
)
def test_what_joins_no_emoji_is_taken_out(name: str, cleaned: str) -> None:
    assert clean_name(name) == cleaned


@pytest.mark.parametrize("before", ["\u0301 ", "\u200b\u0323  ", "\ufe0f\u200d ", "\u0301 \u0323 "], ids=ascii)
def test_a_space_behind_a_mark_that_is_on_nothing_does_not_make_another_name(before: str) -> None:
    assert clean_name(f"{before}ann") == "ann"


@given(st.text(st.characters() | st.sampled_from(ODD), max_size=20) | st.text(st.sampled_from(ODD), max_size=8))
@settings(max_examples=800)
def test_a_cleaned_name_is_clean(name: str) -> None:
    try:
        cleaned = clean_name(name)
    except ClientError:
        return
    assert 1 <= len(cleaned) <= 15
    assert cleaned == cleaned.strip()
    assert unicodedata.category(cleaned[0])[0] in "LNPSM"
    unseen = {char for char in cleaned if unicodedata.category(char)[0] in "CZ"} - {" ", "\u200d"}
    assert not unseen
    assert unicodedata.is_normalized("NFC", cleaned)
    assert clean_name(cleaned) == cleaned
