"""
Players' names, cleaned: what others can't see, or what would change how they see what is beside it, is taken out.

Decided by Unicode's categories, as the interpreter knows them. Knows nothing of messages.
"""

import unicodedata

from shared.wire.errors import ClientError

MAX_NAME_LENGTH = 15
MAX_MARKS = 3
"""On one character: scripts that are written with marks have up to three, and more of them reach into other lines."""

_INVISIBLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Control, format (zero-width, direction), unassigned, private-use, surrogates, separators of lines, of paragraphs."""
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Fillers of Hangul and the empty cell of Braille: letters and symbols by category, and nothing to be seen."""
_MARKS = frozenset({"Mn", "Me"})
_JOINER = "\u200d"
_PRESENTATION = "\ufe0f"


def clean_name(name: str) -> str:
    """
    Return a name as it is shown.

    Invisible characters are taken out, but for those that join emoji; every kind of space is the usual one, and those
    around are trimmed; of marks on one character the first three stay; what is written in several ways has one (NFC).

    Raises:
        ClientError: 1 to 15 characters are not what is left.

    """
    cleaned = "".join(_limit_marks(unicodedata.normalize("NFC", "".join(_visible(name)))))
    if not 1 <= len(cleaned) <= MAX_NAME_LENGTH:
        raise ClientError(f"a name has 1 to {MAX_NAME_LENGTH} characters")
    return cleaned


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
    """Whether an emoji may end with it: a symbol, a color of skin, or that it is to be shown as emoji."""
    return char == _PRESENTATION or unicodedata.category(char) in ("So", "Sk")


def _limit_marks(name: str) -> list[str]:
    """Return its characters without the marks that are one too many or on nothing."""
    kept: list[str] = []
    marks = 0
    for char in name.strip():
        if unicodedata.category(char) not in _MARKS:
            marks = 0
        elif marks == MAX_MARKS or not kept or kept[-1] in (" ", _JOINER):
            continue
        else:
            marks += 1
        kept.append(char)
    while kept and kept[-1] in (" ", _JOINER):  # what stood behind is gone
        kept.pop()
    return kept
