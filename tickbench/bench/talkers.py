"""
Send a server small messages, and note when each was answered: the client side of a bench of reading.

``python -m tickbench.bench.talkers HOST PORT CONNECTIONS PID`` enters so many players into the room ``main``, says
``talking`` on stdout when the server has answered a first message of each, and carries out one request for each line of
its stdin (:class:`ReadBlock`), whose answer (:class:`ReadTimed`) is one line, too. PID is the server's, whose CPU time
is read. It ends with its stdin.
"""

import select
import socket
import sys
import time
from collections import deque
from itertools import cycle

import msgspec

from shared.system import timerfd
from tickbench.bench.knocks import ANSWER_BEGINS, KNOCK, PING, PONG, TEXT, client_frame, server_frames
from tickbench.bench.readers import RECEIVE_BYTES, open_reader

SO_TIMESTAMPING, RX_SOFTWARE, SOFTWARE = 37, 1 << 3, 1 << 4
STAMP_BYTES = 48
"""Three timespecs (Linux, Documentation/networking/timestamping.rst), of which the first is the software one."""

WARM_UP_S = 0.2
"""Before the messages that count: the server has stood still, and its caches are another's."""

ANSWER_LIMIT_S = 20.0
"""After which a server that is silent will not answer any more."""


class ReadBlock(msgspec.Struct, frozen=True):
    """
    Asks for ``rate_hz`` messages a second for ``seconds``.

    They go out in waves, one wave on ``at_once`` connections, on each of them ``burst`` messages in one packet. A wave
    whose time has come waits until the one before it is answered: a queue would hide what a message takes.
    """

    rate_hz: int
    at_once: int
    burst: int
    seconds: float


class ReadTimed(msgspec.Struct, frozen=True):
    """
    The server's CPU time for each message, and how long after each packet the last of its answers came.

    ``per_second`` is how many messages were answered in a second: as many as were asked for, if the server can.
    """

    cpu_us: float
    latency_us: list[float]
    per_second: float


class Talker:
    """One connection, and when the packets were sent that have not been answered yet."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sent_ns: deque[int] = deque()
        self.answers = 0  # of the oldest of these packets
        self.received = bytearray()

    def hear(self, buffer: bytearray) -> tuple[int, int]:
        """
        Read; return how many answers came, and when the last of them did, in ns of the wall clock.

        Raises:
            ConnectionError: the server hung up.

        """
        size, ancillary, _, _ = self.sock.recvmsg_into([buffer], socket.CMSG_SPACE(STAMP_BYTES))
        if not size:
            raise ConnectionResetError("the server hung up")
        stamp = ancillary[0][2] if ancillary else b""
        seconds, fraction = (int.from_bytes(stamp[at : at + 8], sys.byteorder) for at in (0, 8))
        self.received += buffer[:size]
        answers = 0
        for first, payload in server_frames(self.received):
            if first == TEXT:
                answers += payload.startswith(ANSWER_BEGINS)
            elif first == PING:
                self.sock.send(client_frame(PONG, payload))
        return answers, seconds * 1_000_000_000 + fraction if stamp else time.time_ns()


class Talkers:
    """Many connections to one server, each in the room."""

    def __init__(self, host: str, port: int, connections: int, server_pid: int) -> None:
        self._buffer = bytearray(RECEIVE_BYTES)
        self._cpu_clock = (~server_pid << 3) | 2  # as clock_getcpuclockid(3) has it: CPUCLOCK_SCHED of a process
        self._poll = select.epoll()
        self._timer = timerfd.create_timer(timerfd.MONOTONIC)
        self._poll.register(self._timer, select.EPOLLIN)
        self._talkers: dict[int, Talker] = {}
        for _ in range(connections):
            sock = open_reader(host, port)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, RX_SOFTWARE | SOFTWARE)
            self._poll.register(sock, select.EPOLLIN)
            self._talkers[sock.fileno()] = Talker(sock)
        self._turns = cycle(self._talkers.values())
        self._waiting = 0  # packets that are not answered
        self._latency_ns: list[int] = []
        self._send(KNOCK, connections)
        self._await_answers(1)

    def time(self, block: ReadBlock) -> ReadTimed:
        """
        Send what is asked for, and wait for all answers.

        Raises:
            ConnectionError: the server hung up.
            TimeoutError: it does not answer.

        """
        self._talk(block, WARM_UP_S)
        began_ns, cpu_ns = time.monotonic_ns(), time.clock_gettime_ns(self._cpu_clock)
        messages = self._talk(block, block.seconds)
        used_ns, took_ns = time.clock_gettime_ns(self._cpu_clock) - cpu_ns, time.monotonic_ns() - began_ns
        latency_us = [latency_ns / 1000 for latency_ns in self._latency_ns]
        return ReadTimed(used_ns / 1000 / messages, latency_us, messages * 1_000_000_000 / took_ns)

    # Private methods

    def _talk(self, block: ReadBlock, seconds: float) -> int:
        """Send in waves, each when it is due or as soon after that as may be; return how many messages that were."""
        a_wave = block.at_once * block.burst
        period_ns = 1_000_000_000 * a_wave // block.rate_hz
        packet, waves = KNOCK * block.burst, max(1, round(seconds * block.rate_hz / a_wave))
        self._latency_ns = []
        due_ns = time.monotonic_ns()
        for _ in range(waves):
            due_ns = max(due_ns + period_ns, time.monotonic_ns())
            timerfd.set_timer(self._timer, due_ns)
            while time.monotonic_ns() < due_ns:
                self._hear(block.burst)
            self._send(packet, block.at_once)
            self._await_answers(block.burst)
        return waves * a_wave

    def _send(self, packet: bytes, connections: int) -> None:
        for _ in range(connections):
            talker = next(self._turns)
            talker.sent_ns.append(time.time_ns())
            if talker.sock.send(packet) < len(packet):
                raise TimeoutError("the server does not read")
        self._waiting += connections

    def _await_answers(self, burst: int) -> None:
        while self._waiting:
            self._hear(burst)

    def _hear(self, burst: int) -> None:
        """Wait for what comes, or for the timer, and read it."""
        ready = self._poll.poll(ANSWER_LIMIT_S)
        if not ready:
            raise TimeoutError(f"{self._waiting} packets are not answered")
        for number, _ in ready:
            if number == self._timer:
                timerfd.expirations(number)
                continue
            talker = self._talkers[number]
            answers, came_ns = talker.hear(self._buffer)
            talker.answers += answers
            while talker.sent_ns and talker.answers >= burst:
                talker.answers -= burst
                self._latency_ns.append(came_ns - talker.sent_ns.popleft())
                self._waiting -= 1


def main(host: str, port: int, connections: int, server_pid: int) -> int:
    """Talk when asked to; return the exit status."""
    try:
        talkers = Talkers(host, port, connections, server_pid)
        print("talking", flush=True)
        for line in sys.stdin:
            timed = talkers.time(msgspec.json.decode(line, type=ReadBlock))
            print(msgspec.json.encode(timed).decode(), flush=True)
    except OSError as error:
        print(f"error: no talking to the server: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))
