"""
Everything that a peer can do wrong, as much of it as goes into the given time.

Run as a script: ``attacker.py PORT SECONDS SEED``; it prints how many attacks it made. A process of its own, so that
those who watch what the server makes of it are not starved by their own interpreter.
"""

import json
import random
import socket
import struct
import sys
import threading
import time
from collections import deque
from contextlib import suppress

from tests.support.client import BINARY, CLOSE, PING, TEXT, client_frame, request_bytes, upgrade_headers

THREADS = 4
PAUSE_S = 0.002
HELD = 40
"""How many half-done connections a thread keeps open at a time."""

MESSAGES = [
    '["new_player","again"]',
    '["join"]',
    "37",
    "[[[[",
    '["ping",1e999]',
    '["ping",1]',
    '["join"',
    "\x00",
    "9" * 99,
]


class Attacker:
    """One thread's worth of bad manners."""

    def __init__(self, port: int, seed: int) -> None:
        self.attacks = 0
        self._port = port
        self._chance = random.Random(seed)
        self._held: deque[socket.socket] = deque()
        self._kinds = [
            self.send_random_bytes,
            self.send_random_frames,
            self.send_a_torn_frame,
            self.send_half_a_handshake,
            self.send_bad_http,
            self.flood_and_read_nothing,
            self.send_damaged_frames,
            self.declare_too_much,
        ]

    def run(self, until: float) -> None:
        while time.monotonic() < until:
            with suppress(OSError):  # it has thrown us out, as it should
                self._chance.choice(self._kinds)()
            self.attacks += 1
            time.sleep(PAUSE_S)
        for sock in self._held:
            sock.close()

    # Attacks

    def send_random_bytes(self) -> None:
        sock = self._dial()
        sock.sendall(self._noise(2000))
        self._leave(sock)

    def send_random_frames(self) -> None:
        sock = self._enter()
        sock.sendall(self._noise(500))
        self._leave(sock)

    def send_a_torn_frame(self) -> None:
        sock = self._enter()
        frame = client_frame(TEXT, b'["join"]' * self._chance.randint(1, 50))
        sock.sendall(frame[: self._chance.randrange(len(frame))])
        self._leave(sock)

    def send_half_a_handshake(self) -> None:
        sock = self._dial()
        request = self._upgrade_request()
        sock.sendall(request[: self._chance.randrange(len(request))])
        self._hold(sock)

    def send_bad_http(self) -> None:
        sock = self._dial()
        lines = [
            b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
            b"GET /stats HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
            b"POST /connect HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"POST /stats HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\nx",
            b"GET /connect?room=%00%ff HTTP/1.1\r\nHost: \xff\r\n\r\n",
            b"GET /%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET http://[::1/connect HTTP/1.1\r\nHost: [\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"GET /connect HTTP/9.9\r\n\r\n",
            b"\r\n" * 100,
        ]
        sock.sendall(self._chance.choice(lines))
        self._leave(sock)

    def flood_and_read_nothing(self) -> None:
        sock = self._enter()
        for _ in range(self._chance.randint(1, 5)):
            message = self._chance.choice(MESSAGES).encode()
            opcode = self._chance.choice((TEXT, TEXT, PING, BINARY))
            sock.sendall(client_frame(opcode, message) * 100)
        self._hold(sock)

    def send_damaged_frames(self) -> None:
        sock = self._enter()
        data = bytearray(b"".join(client_frame(TEXT, message.encode()) for message in MESSAGES))
        for _ in range(self._chance.randint(1, 10)):
            data[self._chance.randrange(len(data))] ^= 1 << self._chance.randrange(8)
        sock.sendall(data)
        self._leave(sock)

    def declare_too_much(self) -> None:
        sock = self._enter()
        sock.sendall(client_frame(self._chance.choice((TEXT, BINARY, PING, CLOSE)), declared_length=2**40))
        self._hold(sock)

    # How it comes and goes

    def _dial(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self._port), 2)
        if self._chance.random() < 0.2:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        return sock

    def _enter(self) -> socket.socket:
        """Come in, in most cases with a name, into the room of those who play or another one."""
        sock = self._dial()
        sock.sendall(self._upgrade_request())
        if self._chance.random() < 0.8:
            sock.sendall(client_frame(TEXT, b'["new_player","mallory"]') + client_frame(TEXT, b'["join"]'))
        return sock

    def _upgrade_request(self) -> bytes:
        room = self._chance.choice(("main", "main", f"room-{self._chance.randrange(20)}"))
        return request_bytes("GET", f"/connect?room={room}", upgrade_headers({}))

    def _leave(self, sock: socket.socket) -> None:
        """Hang up: politely, with a reset, or much later."""
        way = self._chance.randrange(4)
        if way == 0:
            self._hold(sock)
            return
        if way == 1:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if way == 2:
            sock.settimeout(0.05)
            with suppress(OSError):
                sock.recv(65536)
        sock.close()

    def _hold(self, sock: socket.socket) -> None:
        self._held.append(sock)
        if len(self._held) > HELD:
            self._held.popleft().close()

    def _noise(self, most: int) -> bytes:
        return self._chance.randbytes(self._chance.randint(1, most))


def main() -> None:
    port, seconds, seed = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    attackers = [Attacker(port, seed + number) for number in range(THREADS)]
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=attacker.run, args=(until,)) for attacker in attackers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump({"attacks": sum(attacker.attacks for attacker in attackers)}, sys.stdout)


if __name__ == "__main__":
    main()
