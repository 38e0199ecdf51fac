"""
Time picows' own broadcast, block by block as a backend's bench does: our fan-outs are compared with it.

``python -m tickbench.bench.peer CONNECTIONS``: a server on uvloop that prints where it listens, prints ``full`` when so
many players have entered, answers each line of its stdin (:mod:`shared.measure.blocks`), and ends when stdin does.
"""

import asyncio
import gc
import os
import sys
import time

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from shared.measure.blocks import FanoutBlock, Timed, one_line, read_blocks, turns

PAUSE_S = 0.02
"""Between two ticks, as in the backends' benches."""

HEADER_BYTES = 14
"""Bytes that picows needs free before the payload, to write the frame's header there."""

WELCOME = b'[["handshake","reader",1]]'


members: list[WSTransport] = []


class PeerListener(WSListener):
    """One connection: its first frame brings it into the room."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:  # noqa: ARG002 # picows' signature
        """Welcome the player and add it to the room."""
        transport.send(WSMsgType.TEXT, WELCOME)
        members.append(transport)


async def main(connections: int) -> None:
    """Serve, and time the blocks that are asked for."""
    server = await ws_create_server(_player, "127.0.0.1", 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    print(f"tickbench picows listening on http://127.0.0.1:{port}", flush=True)
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
    uvloop.run(main(int(sys.argv[1])))
