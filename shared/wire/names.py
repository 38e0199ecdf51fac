"""
Cleans names and announcements of characters that are invisible, or that change how the text beside them is displayed.

It goes by the categories of the Unicode version that the interpreter has.
"""

import unicodedata

from shared.wire.errors import ClientError

MAX_NAME_LENGTH = 15
MAX_ANNOUNCEMENT_LENGTH = 200
MAX_MARKS = 3
"""Combining marks on one character: scripts use up to three, and more of them reach into other lines."""

_INVISIBLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Control, format (zero-width, direction), unassigned, private-use, surrogates, separators of lines, of paragraphs."""
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0\U00013441\U00013442\U0001d159")
"""
Letters and symbols by category that show nothing: fillers of Hangul, the empty cell of Braille, blanks of hieroglyphs,
the note without a head.
"""
_MARKS = frozenset({"Mn", "Me"})
_JOINER = "\u200d"
_PRESENTATION = "\ufe0f"


def clean_name(name: str) -> str:
    """
    Return a name as it is shown.

    Invisible characters are removed, except those that join emoji; every kind of space becomes the usual one, and the
    name is trimmed; of the marks on one character the first three stay; the result is in NFC.

    Raises:
        ClientError: what is left has not 1 to 15 characters.

    """
    return _clean(name, "a name", MAX_NAME_LENGTH)


def clean_announcement(text: str) -> str:
    """
    Return an announcement as it is shown, cleaned as a name is.

    Raises:
        ClientError: what is left has not 1 to 200 characters.

    """
    return _clean(text, "an announcement", MAX_ANNOUNCEMENT_LENGTH)


def _clean(text: str, what: str, most: int) -> str:
    # Twice: NFC takes some characters apart, and a removal may bring together two that it composes.
    cleaned = "".join(_limit_marks(_compose("".join(_visible(_compose(text))))))
    if not 1 <= len(cleaned) <= most:
        raise ClientError(f"{what} has 1 to {most} characters")
    return cleaned


def _compose(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _visible(name: str) -> list[str]:
    kept: list[str] = []
    joins = False
    for char in name:
        category = unicodedata.category(char)
        if category in _INVISIBLE or char in _BLANK:
            joins = (joins or char == _JOINER) and bool(kept) and _is_symbol(kept[-1])
            continue
        if joins and category == "So":
            kept.append(_JOINER)
        joins = False
        kept.append(" " if category == "Zs" else char)
    return kept


def _is_symbol(char: str) -> bool:
    """Whether an emoji may end with it: a symbol, a skin tone, or the selector of the emoji presentation."""
    return char == _PRESENTATION or unicodedata.category(char) in ("So", "Sk")


def _limit_marks(name: str) -> list[str]:
    """Return its characters without marks beyond the limit or without a base, and without joiners that join nothing."""
    kept: list[str] = []
    marks = 0
    for char in name.strip():
        if unicodedata.category(char) in _MARKS:
            marks += 1
            stays = marks <= MAX_MARKS and kept and kept[-1] not in (" ", _JOINER)
        elif char == _JOINER:
            stays = kept and _is_symbol(kept[-1])
        else:
            marks = 0
            stays = kept or char != " "
        if stays:
            kept.append(char)
    while kept and kept[-1] in (" ", _JOINER):  # what stood behind is gone
        kept.pop()
    return kept
