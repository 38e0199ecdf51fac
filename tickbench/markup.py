"""What may stand beside rich's markup: text that is none itself, and that no terminal obeys."""

from rich.markup import escape as without_markup  # noqa: TID251 - here it is completed

from shared.plain import printable


def escape(text: str) -> str:
    """Return text that is shown as it is, whoever said it."""
    return without_markup(printable(text))
