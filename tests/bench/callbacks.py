"""
What a frame costs the generator's own code, by how it travels: the callback alone, without the system call.

``python -m tests.bench.callbacks``. Process time, of the quickest of many rounds: it can be measured on a busy machine.
"""

import ssl
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from loadtests.receive import reads
from loadtests.receive.arrivals import MAX_MESSAGE_BYTES, ArrivalLog
from loadtests.receive.stamps import STAMP_BYTES
from shared.wire.deflate import Agreement
from shared.wire.tls import ClientTls
from tests.support.certificates import Authority
from tests.support.planted_coat import compressed, server_context
from tests.support.planted_wire import Tick, frame, tick_text

CONNECTIONS = 500
ROUNDS = 20
PAD_BYTES = 350
"""With the head, about the 430 bytes of a frame of the game."""

Call = tuple[Callable[..., None], tuple[Any, ...]]


class Taker:
    """A connection for which nothing is to be left to do."""

    index = 5

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"this is not the quickest way: {name}")


def receiver(data: bytes) -> Any:
    """Return what stands for ``recvmsg_into``."""
    stamp, size = [(1, 2, bytes(STAMP_BYTES))], len(data)

    def receive(buffers: list[bytearray], _: int) -> Any:
        buffers[0][:size] = data
        return size, stamp, 0, None

    return receive


def met(context: ssl.SSLContext) -> tuple[ClientTls, ssl.SSLObject, ssl.MemoryBIO]:
    """Return both ends of TLS, and what the server has to send."""
    client, said, heard = ClientTls("127.0.0.1", verifies=False), ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(heard, said, server_side=True)
    is_done = False
    while not is_done:
        is_done = client.shake_hands()
        heard.write(client.to_send())
        try:
            server.do_handshake()
        except ssl.SSLWantReadError:
            is_done = False
        client.feed(said.read())
    return client, server, said


def show(way: str, rounds: Iterable[list[Call]]) -> None:
    taken_us = []
    for calls in rounds:
        started_ns = time.process_time_ns()
        for callback, arguments in calls:
            callback(*arguments)
        taken_us.append((time.process_time_ns() - started_ns) / 1000 / len(calls))
    sys.stdout.write(f"{way:24} {min(taken_us):6.2f} us a frame\n")


def main() -> None:
    log, data = ArrivalLog(), frame(tick_text(Tick(0, 100, 1_700_000_000_000_000, 1_700_000_000_000_123), PAD_BYTES))
    small = compressed(data, zlib.compressobj(wbits=-15))
    takes_over, forgets = Agreement(), Agreement(server_no_context_takeover=True)
    plain, contexts, none = log.latest("main"), log.latest("main", takes_over), log.latest("main", forgets)
    log.learn(plain, data)
    log.learn(none, small)
    log.renew(contexts, data[4:], plain.number)
    inflates = [takes_over.client_inflater(MAX_MESSAGE_BYTES).inflate for _ in range(CONNECTIONS)]
    with tempfile.TemporaryDirectory() as folder:
        context = server_context(str(Authority(Path(folder)).certify("bench", "IP:127.0.0.1").both))
    ends = [met(context) for _ in range(CONNECTIONS)]

    def bare(callback: Callable[..., None], read: bytes, *more: Any) -> Iterator[list[Call]]:
        for _ in range(ROUNDS):
            yield [(callback, (receiver(read), *more, Taker())) for _ in range(CONNECTIONS)]

    def own_contexts() -> Iterator[list[Call]]:
        for _ in range(ROUNDS):
            callback = reads.on_compressed_readable
            yield [(callback, (receiver(small), inflate, contexts, Taker())) for inflate in inflates]

    def secure(read: bytes, of: list[Any], latest: Any) -> Iterator[list[Call]]:
        for _ in range(ROUNDS):
            calls: list[Call] = []
            for (client, server, said), inflate in zip(ends, of, strict=True):
                server.write(read)
                arguments = (receiver(said.read()), client, client.bounds, inflate, latest, Taker())
                calls.append((reads.on_encrypted_plain_readable, arguments))
            yield calls

    show("as they are", bare(reads.on_plain_readable, data, plain, 5))
    show("without contexts", bare(reads.on_plain_readable, small, none, 5))
    show("with contexts", own_contexts())
    show("TLS", secure(data, [None] * CONNECTIONS, plain))
    show("TLS, without contexts", secure(small, [None] * CONNECTIONS, none))
    show("TLS, with contexts", secure(small, inflates, contexts))


if __name__ == "__main__":
    main()
