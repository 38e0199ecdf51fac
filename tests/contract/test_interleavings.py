"""
Pings, pongs, ticks, answers and closes of one connection, interleaved by chance: no frame is torn, nothing follows a
close, and what is asked is answered in order. A parser that shares no code with the servers reads every byte of it.
"""

import json
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, Pong, TextMessage

from tests.conftest import FULL_SIZE, Serve
from tests.support.bystander import assert_no_tick_was_lost
from tests.support.client import BINARY, CLOSE, PATIENCE_S, PING, PONG, TEXT, client_frame
from tests.support.swarm import Ending, Swarm, Visitor

pytestmark = [pytest.mark.differs("condition", "process"), pytest.mark.framework("library")]

COUNT = 10_000 if FULL_SIZE else 150
AT_ONCE = 50

PAD_BYTES = 3000
FLAGS = ("--tick-rate", "100", "--pad", str(PAD_BYTES), "--tick-budget", "0", "--slow-limit", "60")
LIMITS = ("--max-messages", "1000", "--max-connections", "1000", "--bots", "4")

STUCK_BYTES = 4096
CLOSE_LIMIT_S = 1.0
"""What the servers wait for a closing peer, by default."""

KEYS = (37, 38, 39, 40, 13)

Pauses = Iterator[float]
"""Seconds to wait before the next thing is done."""


class Chatterbox(Visitor):
    """
    One who does this and that by chance, until it or the server ends it.

    ``live`` is its script: each pause that it yields is the time until it goes on.
    """

    receive_buffer_bytes = STUCK_BYTES

    def __init__(self, number: int) -> None:
        super().__init__(early=number % 4 == 0)
        self.number = number
        self.pings: list[bytes] = []  # of the protocol
        self.asked: list[int] = []  # by JSON pings
        self.left = ""  # how it meant to end
        self.wakes_s = 0.0
        self.data = bytearray()  # all that came behind the answer to its request
        self._chance = random.Random(f"interleavings/{number}")
        self._script = self.live()

    def take(self, data: bytes) -> None:
        self.data += data

    def wake(self) -> None:
        """Go on with the script."""
        pause_s = next(self._script, None)
        self.wakes_s = float("inf") if pause_s is None else time.monotonic() + pause_s

    # The script

    def live(self) -> Pauses:
        chance = self._chance
        for _ in range(chance.randint(0, 12)):
            yield chance.choice((0.0, 0.0, chance.uniform(0, 0.02), chance.uniform(0, 0.1)))
            if chance.random() < 0.1:
                yield from self.stall_and_ask()
            else:
                frames = b"".join(self.any_message() for _ in range(chance.choice((1, 1, 2, 5))))
                cut = chance.randint(0, len(frames)) if chance.random() < 0.3 else len(frames)
                self.send(frames[:cut])
                yield chance.uniform(0, 0.01) if cut < len(frames) else 0
                self.send(frames[cut:])
        if chance.random() < 0.3:
            yield from self.stall_and_ask()
        yield from self.leave()

    def stall_and_ask(self) -> Pauses:
        """Read nothing for a while, so that writes fall short; say this and that meanwhile."""
        self.stall()
        for _ in range(self._chance.randint(0, 6)):
            yield self._chance.uniform(0, 0.1)
            self.send(self.any_message())
        yield self._chance.uniform(0, 0.3)
        if self._chance.random() < 0.9:
            self.read_on()  # the others say how they leave while they don't read

    def any_message(self) -> bytes:
        chance = self._chance
        kind = chance.randrange(6)
        if kind < 2:
            self.asked.append(len(self.asked))
            return client_frame(TEXT, b'["ping",%d]' % self.asked[-1])
        if kind == 2:
            self.pings.append(chance.randbytes(chance.randint(0, 125)))
            return client_frame(PING, self.pings[-1])
        if kind == 3:
            return client_frame(PONG, chance.randbytes(chance.randint(0, 125)))
        return client_frame(TEXT, b'["join"]' if kind == 4 else b"%d" % chance.choice(KEYS))

    def leave(self) -> Pauses:
        """Come to an end in one of many ways, with more on its way to the server now and then."""
        ways: list[Callable[[], bytes]] = [self.close, self.close, self.close, self.break_a_rule]
        way = self._chance.randrange(len(ways) + 4)
        more = b"".join(self.any_message() for _ in range(self._chance.choice((0, 0, 3))))
        if way < len(ways):
            self.send(more + ways[way]())
            if self._chance.random() < 0.3:  # which nobody is to answer any more
                self.send(client_frame(PING, b"too late") + client_frame(TEXT, b'["ping",-1]'))
        elif way == len(ways):
            self.left = "half-close"
            self.send(more)
            with suppress(OSError):  # the server may have ended it
                self.sock.shutdown(socket.SHUT_WR)
        elif way == len(ways) + 1:
            self.stall()
            for _ in range(40):
                self.send(more)
                yield self._chance.uniform(0, 0.02)
                more = self.any_message()
            self.send(more + self.close())
        else:
            self.send(more)
            self.hang_up(reset=way == len(ways) + 2)
            return
        pauses = (0.0, self._chance.uniform(0, 0.5), CLOSE_LIMIT_S + self._chance.uniform(0, 0.5))
        yield self._chance.choices(pauses, weights=(10, 9, 1))[0]
        self.read_on()

    def close(self) -> bytes:
        code = self._chance.choice((1000, 1001, 3000, 4999))
        self.left = str(code)
        return client_frame(CLOSE, struct.pack("!H", code) + b"bye" * self._chance.randint(0, 41))

    def break_a_rule(self) -> bytes:
        code, frames = self._chance.choice(
            (
                (1003, client_frame(BINARY, b"\0")),
                (1007, client_frame(TEXT, b"\xff")),
                (1008, client_frame(TEXT, b"?") * 3),
                (1009, client_frame(TEXT, declared_length=5000)),
                (1002, client_frame(TEXT, reserved=1)),
            )
        )
        self.left = str(code)
        return frames


class Bystander(Visitor):
    """One who only reads."""

    catch_ups = 0

    def take_text(self, text: bytes) -> None:
        super().take_text(text)
        self.catch_ups += text.startswith(b'[["world",')


# The judge


def read_by_another_parser(data: bytes, ending: Ending) -> list[Event]:
    """Return what the bytes of a connection mean to wsproto; only a reset may leave something over."""
    parser = Connection(ConnectionType.CLIENT)
    parser.receive_data(data)
    events = list(parser.events())
    left_over = len(parser._proto._frame_decoder.buffer) > 0
    if events and isinstance(events[-1], TextMessage) and not events[-1].message_finished:
        left_over = True
        events.pop()
    closes = [event for event in events if isinstance(event, CloseConnection)]
    if closes:
        # It tells of a broken frame in the same way, but stays open then.
        assert parser.state is ConnectionState.REMOTE_CLOSING, f"no valid frame: {closes[0].reason}"
        assert closes == events[-1:], "something follows the close frame"
        assert not left_over, "something follows the close frame"
    elif ending is Ending.EOF:
        assert not left_over, "a torn frame at the end of the stream"
    return events


def judge(visitor: Chatterbox) -> None:
    """Check all that one was told, from the answer to its request to the end."""
    assert visitor.ending is not None
    events = read_by_another_parser(bytes(visitor.data), visitor.ending)
    messages = [check_message(event.data) for event in events if isinstance(event, TextMessage)]
    pongs = [bytes(event.payload) for event in events if isinstance(event, Pong)]
    codes = [event.code for event in events if isinstance(event, CloseConnection)]
    assert not [event for event in events if isinstance(event, Ping)], "none is due yet"
    if messages:
        assert messages[0][0][0] == "handshake"
    ticks = [message[0][1] for message in messages if message[0][0] == "tick"]
    assert all(n < later for n, later in pairwise(ticks))
    answers = [message[0][1] for message in messages if message[0][0] == "pong"]
    assert answers == visitor.asked[: len(answers)]
    assert is_subsequence(pongs, visitor.pings)
    if codes:
        assert str(codes[0]) in {visitor.left, "1013"}, f"closed with {codes[0]} where it left by {visitor.left}"
        if codes[0] != 1013:  # what was asked before is answered before
            assert answers == visitor.asked
            assert pongs[-1:] == visitor.pings[-1:]
    elif visitor.ending is Ending.EOF:
        assert visitor.left == "half-close", "the stream ends without a close frame"


def check_message(text: str) -> list[list[Any]]:
    """Decode one message; the frame of a tick has its padding at the end."""
    commands: list[list[Any]] = json.loads(text)
    assert all(isinstance(command, list) and isinstance(command[0], str) for command in commands)
    if commands[0][0] == "tick":
        assert commands[-1] == ["pad", "." * PAD_BYTES]
    return commands


def is_subsequence(some: Sequence[bytes], every: Sequence[bytes]) -> bool:
    """Whether ``some`` are among ``every``, in the same order."""
    rest = iter(every)
    return all(one in rest for one in some)


def run_all(swarm: Swarm, visitors: Iterator[Chatterbox]) -> Iterator[Chatterbox]:
    """Let them live, so many at once; yield each that has come to its end."""
    living: list[Chatterbox] = []
    progress_s = time.monotonic()
    while True:
        while len(living) < AT_ONCE and (visitor := next(visitors, None)):
            swarm.dial(visitor)
            living.append(visitor)
        if not living:
            return
        swarm.turn(0.005)
        now_s = time.monotonic()
        for visitor in living:
            if visitor.is_in and visitor.ending is None and visitor.wakes_s <= now_s:
                visitor.wake()
        ended = [visitor for visitor in living if visitor.ending]
        living = [visitor for visitor in living if not visitor.ending]
        progress_s = now_s if ended else progress_s
        assert now_s - progress_s < PATIENCE_S, f"they never end: {[visitor.number for visitor in living]}"
        yield from ended


@pytest.mark.timeout(1200 if FULL_SIZE else 120)
@pytest.mark.parametrize("fanout", ["frame-once", "library"])
def test_however_they_are_interleaved_frames_are_whole_and_nothing_follows_a_close(serve: Serve, fanout: str) -> None:
    with serve("--fanout", fanout, *FLAGS, *LIMITS) as server, Swarm(server.address) as swarm:
        bystander = Bystander()
        swarm.dial(bystander)
        faults: dict[int, str] = {}
        closes = 0
        for visitor in run_all(swarm, map(Chatterbox, range(COUNT))):
            try:
                judge(visitor)
            except AssertionError as fault:
                faults[visitor.number] = f"left by {visitor.left}, {visitor.ending}: {fault}"
            closes += visitor.left != ""
        assert not server.log, server.log
        assert not faults, f"{len(faults)} of {COUNT}: {dict(list(faults.items())[:10])}"
        assert closes > COUNT / 2
        room = server.room_stats("main")
        assert room is not None
        if not bystander.catch_ups:  # there is one where this process was too slow to read
            assert_no_tick_was_lost([bystander.ticks], room["skipped_ticks"])
        stats = server.stats()
        assert stats["slow_skips"] > COUNT, "they stalled too little to show anything"
        assert set(stats["closed"]) >= {"peer", "1003", "1007", "1008", "1009", "1002"}
        swarm.run_until(lambda: server.stats()["connections"] == 1)
