"""
What strangers said, as it may be shown: a terminal obeys what it is sent, and a name can be a megabyte.

Knows nothing of the markup of any terminal, page or table: who shows something there escapes that as well.
"""

LONGEST = 200
"""Characters of what somebody else said that are kept, where it is only told."""


def printable(text: str) -> str:
    """Return text in which each character shows itself: what is none, a line's end apart, is written as in Python."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in text)


def plain(text: str, most: int = LONGEST) -> str:
    """Return what somebody else said in one line of printable characters, cut behind the first ``most`` of them."""
    # Cut first: what is thrown away need not be looked at. What is kept grows by what is escaped.
    words = printable(" ".join(text[: most + 1].split()))
    return words if len(words) <= most else f"{words[: most - 4]} ..."


def error_line(message: object) -> str:
    """Return the one line, without its end, in which a program says what is wrong."""
    return f"error: {printable(' '.join(str(message).split()))}"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
