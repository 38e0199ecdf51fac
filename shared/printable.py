"""
Makes text from elsewhere safe to print: a terminal obeys control characters, and a name can be a megabyte.

Knows nothing of markup: whoever prints to a table or a page has to escape that as well.
"""

LONGEST = 200
"""Characters that are kept of a text from elsewhere which is only quoted."""


def printable(text: str) -> str:
    """Return text with its unprintable characters, except newlines, escaped as in Python."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in text)


def plain(text: str, most: int = LONGEST) -> str:
    """Return a text from elsewhere as one line of at most ``most`` printable characters."""
    # Cut first: what is thrown away need not be looked at. What is kept grows by what is escaped.
    words = printable(" ".join(text[: most + 1].split()))
    return words if len(words) <= most else f"{words[: most - 4]} ..."


def error_line(message: object) -> str:
    """Return the one line, without its end, in which a program says what is wrong."""
    return f"error: {printable(' '.join(str(message).split()))}"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
