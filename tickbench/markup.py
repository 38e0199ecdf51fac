"""Escape text for rich: markup in it is not interpreted, and no terminal obeys control characters in it."""

from rich.markup import escape as without_markup  # noqa: TID251 - here it is completed

from shared.printable import printable


def escape(text: str) -> str:
    """Return text that rich shows literally, whoever wrote it."""
    return without_markup(printable(text))
