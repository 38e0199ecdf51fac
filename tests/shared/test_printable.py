import pytest

from shared.printable import LONGEST, error_line, plain, printable


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("one room, two", "one room, two"),
        ("Zoë plays 蛇 🐍", "Zoë plays 蛇 🐍"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("left\u202eright", r"left\u202eright"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_instead(said: str, shown: str) -> None:
    assert printable(said) == plain(said) == shown


def test_what_is_told_of_a_stranger_is_one_line() -> None:
    assert plain(" late\r\nvalid\u2028\tfine ") == "late valid fine"
    assert printable("two\nlines\r\n") == "two\nlines\\r\n"


def test_what_is_told_of_a_stranger_is_short() -> None:
    assert plain(1_000_000 * "x") == f"{(LONGEST - 4) * 'x'} ..."
    assert plain(LONGEST * "x") == LONGEST * "x"
    assert len(plain(LONGEST * "\x1b")) == LONGEST


def test_what_is_wrong_is_said_in_one_line() -> None:
    assert error_line(ValueError("no\nport \x1b[2J")) == r"error: no port \x1b[2J"
