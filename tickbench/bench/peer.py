"""
picows alone, for what is compared with it: its own broadcast, and how it reads.

``python -m tickbench.bench.peer CONNECTIONS``: a server on uvloop that prints where it listens, prints ``full`` when so
many players have entered, answers each line of its stdin (:mod:`shared.measure.blocks`), and ends when stdin does.
``... peer read`` serves until it is killed, and answers every message after the first.
"""

import asyncio
import gc
import os
import sys
import time

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from shared.measure.blocks import FanoutBlock, Timed, one_line, read_blocks, turns
from tickbench.bench.knocks import ANSWER_TEXT

PAUSE_S = 0.02
"""Between two ticks, as in the backends' benches."""

HEADER_BYTES = 14
"""Bytes that picows needs free before the payload, to write the frame's header there."""

WELCOME = b'[["handshake","reader",1]]'


members: list[WSTransport] = []


class PeerListener(WSListener):
    """One connection: its first frame brings it into the room."""

    is_in_room = False

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:  # noqa: ARG002 # picows' signature
        """Answer a player; welcome a new one and add it to the room."""
        if self.is_in_room:
            transport.send(WSMsgType.TEXT, ANSWER_TEXT)
            return
        self.is_in_room = True
        transport.send(WSMsgType.TEXT, WELCOME)
        members.append(transport)


async def main(connections: int | None) -> None:
    """Serve, and time the blocks that are asked for; for ever where no number of connections is given."""
    server = await ws_create_server(_player, "127.0.0.1", 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    print(f"tickbench picows listening on http://127.0.0.1:{port}", flush=True)
    if connections is None:
        await server.serve_forever()
        return
    while len(members) < connections:  # noqa: ASYNC110 # picows has no event for it
        await asyncio.sleep(PAUSE_S)
    gc.collect()
    gc.freeze()
    print("full", flush=True)
    for block in read_blocks(sys.stdin):
        assert isinstance(block, FanoutBlock)  # noqa: S101 # nothing else is asked of it
        print(one_line(await _fan_out(block)), end="", flush=True)
    os._exit(0)  # no need to close the connections


async def _fan_out(block: FanoutBlock) -> Timed:
    us: dict[str, list[float]] = {way: [] for way in block.ways}
    for way in turns(block.ways, block.ticks):
        await asyncio.sleep(PAUSE_S)
        began_ns = time.perf_counter_ns()
        buffer = bytearray(HEADER_BYTES) + b"x" * block.text_bytes
        for transport in members:
            transport.send_reuse_external_bytearray(WSMsgType.TEXT, buffer, HEADER_BYTES)
        us[way].append((time.perf_counter_ns() - began_ns) / 1000 / len(members))
    return Timed(us)


def _player(_: WSUpgradeRequest) -> WSListener:
    return PeerListener()


if __name__ == "__main__":
    uvloop.run(main(None if sys.argv[1] == "read" else int(sys.argv[1])))
