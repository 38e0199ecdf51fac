"""
What servers of other stacks may import: the game, its rooms and the protocol, without sockets, threads or waiting.

``pip install 'tickbench[server]'`` is enough. docs/adding-a-stack.md shows a whole server on it; what is not in here
may change from one version to the next.
"""

import importlib.util

try:
    from shared.server.gate import Page, Seat
    from shared.server.standalone import Closing, Player, Table, Ticked
    from shared.server.standalone import StandaloneServer as Server
except ModuleNotFoundError as error:
    missing = error.name or ""
    why = f"{missing} is not installed; pip install 'tickbench[server]' would add it"
    if missing.partition(".")[0] == "shared":
        found = importlib.util.find_spec("shared")
        places = ", ".join((found and found.submodule_search_locations) or [])
        why = f"it has a package called 'shared' of its own, and {places} is found in its place; give that another name"
    raise ModuleNotFoundError(f"tickbench.core can't be imported: {why}", name=missing) from error

__all__ = ["Closing", "Page", "Player", "Seat", "Server", "Table", "Ticked"]
