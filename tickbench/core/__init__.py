"""
What servers of other stacks may import: the game, its rooms and the protocol, without sockets, threads or waiting.

``pip install 'tickbench[server]'`` is enough. docs/adding-a-stack.md shows a whole server on it; what is not in here
may change from one version to the next.
"""

from shared.server.gate import Page, Seat
from shared.server.standalone import Closing, Player, Table, Ticked
from shared.server.standalone import StandaloneServer as Server

__all__ = ["Closing", "Page", "Player", "Seat", "Server", "Table", "Ticked"]
