"""
picows' own broadcast, timed block by block as a backend's bench is: the peer beside which our fan-outs stand.

``python -m tickbench.bench.peer CONNECTIONS``: a server on uvloop that says where it listens, says ``full`` when so
many players have entered, answers each line of its stdin (:mod:`shared.measure.blocks`), and ends with it.
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
"""As the backends' benches have between two ticks."""

HEADER_BYTES = 14
"""What picows wants free before the payload of a buffer that it may write its header into."""

WELCOME = b'[["handshake","reader",1]]'


members: list[WSTransport] = []


class Player(WSListener):
    """One connection: it is in the room when it has said something."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:  # noqa: ARG002 # picows' signature
        """Let it in."""
        transport.send(WSMsgType.TEXT, WELCOME)
        members.append(transport)


async def main(connections: int) -> None:
    """Serve, and time what is asked for."""
    server = await ws_create_server(_player, "127.0.0.1", 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    print(f"tickbench picows listening on http://127.0.0.1:{port}", flush=True)
    while len(members) < connections:  # noqa: ASYNC110 # nobody tells
        await asyncio.sleep(PAUSE_S)
    gc.collect()
    gc.freeze()
    print("full", flush=True)
    for block in read_blocks(sys.stdin):
        assert isinstance(block, FanoutBlock)  # noqa: S101 # nothing else is asked of it
        print(one_line(await _fan_out(block)), end="", flush=True)
    os._exit(0)  # its connections are nobody's concern


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
    return Player()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
