"""
What an attack is, and the one loop that carries it out: many connections that send what a good peer would not.

A :class:`Siege` is bounded in time, in connections and in bytes, and reads only to throw away. It knows nothing of the
game, and nothing of what the server ought to make of it.
"""

import errno
import heapq
import os
import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.system.descriptors import allow_many_descriptors

ATTACKER_HOST = "127.0.0.2"
"""Where attacks come from: an address of this host that is not that of the good players."""

MAX_DIALS = 40_000
MAX_BYTES_A_SECOND = 2**28
"""Sent by all: two gigabits, more than most hosts have a line for."""
TURN_BYTES = 2**18
"""What one connection may send before the others have their turn."""
BACK_S = 0.02
"""Until somebody who was thrown out dials again."""
TURN_LIMIT_S = 0.05
PAUSE_S = 0.01
"""Where all together have sent too much."""


class Place(NamedTuple):
    """Where an attack is aimed."""

    host: str
    """As a Host header has it."""
    room: str
    """For those who enter one."""


Opening = Callable[[Place, int], bytes]
"""What connection number so and so sends first."""
Burst = Callable[[int, int], bytes]
"""What connection number so and so sends as its so-manieth burst."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One way to be a nuisance."""

    name: str
    says: str
    """What they do, in a line."""
    full: int
    """How many connections at full size."""
    short: int
    """In the test; 0: left out there."""
    opening: Opening
    greeting: Opening | None = None
    """What follows once the server has answered with 101; without it nobody waits for an answer."""
    burst: Burst | None = None
    """What follows all that, again and again."""
    every_s: float = 0.0
    """Between two bursts; 0: as soon as the kernel takes it."""
    asks_again: bool = False
    """The next burst goes out when the answer to the one before begins to come."""
    reads: bool = True
    lives_s: float | None = None
    """Until it hangs up with a reset and dials again, from when its first words are sent."""
    returns: bool = True
    """Whoever is thrown out, or has left, dials again."""
    spread: float = 0.0
    """The part of the run over which they come."""
    strike: float = 0.0
    """The part of the run after which all send their greeting, at once."""
    flags: tuple[str, ...] = ()
    """Of the server that it is aimed at."""
    may_refuse: bool = False
    """Meanwhile a newcomer may be told 503 at once: they hold seats by right, or cost what the tick budget bounds."""
    leaves_memory: bool = False
    """Memory that stays is told, and no fault: docs/security.md says that it does."""


@dataclass
class Told:
    """What came of it."""

    dialled: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    thrown_out: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    """By status."""


class Peer:
    """One connection, which may be closed and dialled again."""

    __slots__ = ("bursts", "generation", "is_waiting", "number", "offset", "sock", "unsent", "wants")

    def __init__(self, number: int) -> None:
        self.number = number
        self.sock: socket.socket | None = None
        self.generation = 0
        """Counts dials: what was planned for an earlier one is forgotten."""
        self.unsent = b""
        self.offset = 0
        self.bursts = 0
        self.is_waiting = False
        """For the answer to its upgrade."""
        self.wants = 0


class Siege:
    """
    Carries out an attack on ``address`` by so many connections for so many seconds, and then for ``more_s`` of them.

    By ``seconds`` it is meted out who comes when.
    """

    def __init__(
        self, attack: Attack, address: tuple[str, int], size: int, seconds: float, more_s: float, room: str
    ) -> None:
        self.told = Told()
        self._attack = attack
        self._address = address
        self._place = Place("{}:{}".format(*address), room)
        self._peers = [Peer(number) for number in range(size)]
        self._seconds = seconds
        self._more_s = more_s
        self._epoll = select.epoll()
        self._by_fd: dict[int, Peer] = {}
        self._plans: list[tuple[float, int, int, int, Callable[[Peer], None]]] = []
        self._buffer = bytearray(2**18)
        self._began_s = 0.0
        self._allowed_bytes = 0.0
        self._struck = attack.strike == 0
        self._greeters: list[Peer] = []

    def run(self) -> Told:
        """Do it all; return what came of it."""
        allow_many_descriptors()
        self._began_s = now = time.monotonic()
        until = now + self._seconds + self._more_s
        for peer in self._peers:
            self._plan(now + self._attack.spread * self._seconds * peer.number / len(self._peers), peer, self._dial)
        try:
            while (now := time.monotonic()) < until:
                self._turn(now)
        finally:
            for peer in self._peers:
                self._close(peer)
            self._epoll.close()
        return self.told

    # Private methods

    def _turn(self, now: float) -> None:
        self._allowed_bytes = (now - self._began_s) * MAX_BYTES_A_SECOND
        if not self._struck and now >= self._began_s + self._attack.strike * self._seconds:
            self._struck = True
            for peer in self._greeters:
                if peer.sock is not None:
                    self._greet(peer)
        while self._plans and self._plans[0][0] <= now:
            _, number, generation, _, deed = heapq.heappop(self._plans)
            peer = self._peers[number]
            if peer.generation == generation:
                deed(peer)
        wait = min(max(0.0, self._plans[0][0] - now), TURN_LIMIT_S) if self._plans else TURN_LIMIT_S
        for fd, events in self._epoll.poll(wait):
            peer_of = self._by_fd.get(fd)
            if peer_of is None:
                continue
            if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                self._read(peer_of)
            if events & select.EPOLLOUT and peer_of.sock is not None:
                self._write(peer_of)

    def _plan(self, when: float, peer: Peer, deed: Callable[[Peer], None]) -> None:
        heapq.heappush(self._plans, (when, peer.number, peer.generation, len(self._plans), deed))

    # Coming and going

    def _dial(self, peer: Peer) -> None:
        if self.told.dialled >= MAX_DIALS:
            return
        self.told.dialled += 1
        peer.generation += 1
        peer.bursts, peer.offset, peer.wants = 0, 0, 0
        peer.unsent = self._attack.opening(self._place, peer.number)
        peer.is_waiting = self._attack.greeting is not None
        try:
            peer.sock = sock = socket.socket()
        except OSError:  # no descriptor is left
            self._plan(time.monotonic() + 1, peer, self._dial)
            return
        sock.setblocking(False)  # noqa: FBT003 # it takes no keyword
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A reset when it is closed: no port stays taken.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with suppress(OSError):  # the port is chosen when it connects, or the kernel is older
            sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        sock.bind((ATTACKER_HOST, 0))
        error = sock.connect_ex(self._address)
        if error not in (0, errno.EINPROGRESS):
            self._thrown_out(peer)
            return
        self._by_fd[sock.fileno()] = peer
        self._watch(peer, select.EPOLLOUT)

    def _close(self, peer: Peer) -> None:
        if peer.sock is not None:
            self._by_fd.pop(peer.sock.fileno(), None)
            peer.sock.close()
            peer.sock = None
            peer.generation += 1

    def _thrown_out(self, peer: Peer) -> None:
        self.told.thrown_out += 1
        self._close(peer)
        if self._attack.returns:
            self._plan(time.monotonic() + BACK_S, peer, self._dial)

    def _leave(self, peer: Peer) -> None:
        self._close(peer)
        if self._attack.returns:
            self._plan(time.monotonic(), peer, self._dial)

    def _watch(self, peer: Peer, wants: int) -> None:
        assert peer.sock
        if self._attack.reads or peer.is_waiting:
            wants |= select.EPOLLIN
        if wants == peer.wants:
            return
        if peer.wants:
            self._epoll.modify(peer.sock.fileno(), wants)
        else:
            self._epoll.register(peer.sock.fileno(), wants)
        peer.wants = wants or select.EPOLLHUP  # as is always told

    # Talking

    def _write(self, peer: Peer) -> None:
        """Send what there is, and go on for as long as it is this one's turn."""
        turn = 0
        try:
            while turn < TURN_BYTES:
                if self.told.sent_bytes > self._allowed_bytes:
                    self._watch(peer, 0)
                    self._plan(time.monotonic() + PAUSE_S, peer, self._write)
                    return
                if peer.offset == len(peer.unsent) and not self._next_burst(peer):
                    self._watch(peer, 0)
                    return
                assert peer.sock
                sent = peer.sock.send(memoryview(peer.unsent)[peer.offset :])
                peer.offset += sent
                turn += sent
                self.told.sent_bytes += sent
        except BlockingIOError:
            pass
        except OSError:
            self._thrown_out(peer)
            return
        self._watch(peer, select.EPOLLOUT)

    def _next_burst(self, peer: Peer) -> bool:
        """Say whether there is something to be sent now; plan what comes later."""
        attack = self._attack
        if peer.bursts == 0 and attack.lives_s is not None and not peer.is_waiting:
            self._plan(time.monotonic() + attack.lives_s, peer, self._leave)
        if attack.burst is None or peer.is_waiting or attack.asks_again:
            return False
        if attack.every_s:
            self._plan(time.monotonic() + attack.every_s, peer, self._send_burst)
            return False
        self._load_burst(peer)
        return True

    def _load_burst(self, peer: Peer) -> None:
        assert self._attack.burst
        peer.bursts += 1
        peer.unsent, peer.offset = self._attack.burst(peer.number, peer.bursts), 0

    def _send_burst(self, peer: Peer) -> None:
        if peer.offset == len(peer.unsent):
            self._load_burst(peer)
        self._write(peer)

    def _greet(self, peer: Peer) -> None:
        assert self._attack.greeting
        peer.is_waiting = False
        peer.unsent, peer.offset = self._attack.greeting(self._place, peer.number), 0
        self._write(peer)

    def _read(self, peer: Peer) -> None:
        assert peer.sock
        try:
            size = peer.sock.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if not size:
            self._thrown_out(peer)
            return
        self.told.received_bytes += size
        if peer.is_waiting or self._attack.asks_again or self._attack.greeting is None:
            self._take_answers(peer, bytes(memoryview(self._buffer)[:size]))

    def _take_answers(self, peer: Peer, data: bytes) -> None:
        *_, last = parts = data.split(b"HTTP/1.1 ")
        if len(parts) == 1:
            return
        for part in parts[1:]:
            self.told.answers[part[:3].decode("latin-1")] += 1
        if peer.is_waiting and last.startswith(b"101"):
            if self._struck:
                self._greet(peer)
            else:
                self._greeters.append(peer)
        elif self._attack.asks_again:
            self._send_burst(peer)


def carry_out(
    attack: Attack, address: tuple[str, int], size: int, seconds: float, more_s: float, room: str
) -> dict[str, object]:
    """Do it with what time nobody else wants; return what came of it."""
    os.nice(19)
    return vars(Siege(attack, address, size, seconds, more_s, room).run())
