"""
The bus between the processes of one room, over each relay that there is: what it promises is in shared/relay/bus.py.

Each is imported when a URL names it; what speaks to it is a package of the extra ``relay``.
"""

from importlib import import_module

from shared.relay.url import RelayUrl

from .link import Link


def make_link(url: RelayUrl) -> Link:
    """Return what speaks to the relay of a URL, not connected yet."""
    link: Link = import_module(f".{url.kind}", __package__).RelayLink(url)
    return link
