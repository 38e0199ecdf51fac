"""
A server that errs by a law known to the test, and keeps a record of what it really sent.

``python planted_server.py LAW RECORD [PORT [ADDRESS]]``: LAW is JSON of :class:`Law`; RECORD is written on SIGTERM. It
prints its port, which is any that is free unless one is given; it listens on loopback, unless an address is given.
It speaks just enough of the protocol to be loaded, over bare sockets, and shares no code with the generator. One core
feeds it 100,000 frames a second: where the law has all connections of a room get the same, a send is little more than
the system call and the two readings of the clock around it.
"""

import gc
import json
import select
import signal
import socket
import sys
import time
from pathlib import Path

from shared.system.descriptors import allow_many_descriptors
from tests.support.planted_door import Door
from tests.support.planted_law import Law
from tests.support.planted_peers import Outbox, Peer, Room, Write
from tests.support.planted_record import Recorder, Send, Stall, read_arrays, read_meta, read_record
from tests.support.planted_wire import PING, Tick, frame, tick_text

__all__ = ["Law", "Send", "read_arrays", "read_meta", "read_record"]

EVENTS_A_TURN = 128


class PlantedServer:
    """Ticks by ``law`` for those whom ``listener`` brings; :meth:`run` returns when a byte has come to ``waker``."""

    def __init__(self, law: Law, listener: socket.socket, waker: socket.socket, recorder: Recorder) -> None:
        self.law = law
        self.recorder = recorder
        self.meta = recorder.meta
        self.outbox = Outbox(recorder)
        self.door = Door(law, listener, self.outbox)
        self.waker = waker
        self.stopping = False
        self.outbox.epoll.register(waker.fileno(), select.EPOLLIN)

    def run(self) -> None:
        law, meta = self.law, self.meta
        spaced = law.late_by_tick or (law.stall_every > 0 and not law.stall_skips)
        constant_us = int(law.lateness_ms * 1000)
        meta.started_us = now_us()
        lawful_us = sent_us = 0  # when the last tick should have been sent, and when it had been
        n = 0
        while not self.stopping:
            self.door.next_n = n
            due_us = meta.started_us + law.due_us(n)
            at_us = due_us + constant_us + (law.late_us(n, 0) if law.late_by_tick else 0)
            stalled_until_us = meta.stalls[-1].ended_us if meta.stalls else 0
            is_stalled = law.stall_skips and at_us < stalled_until_us
            if spaced:
                at_us = max(at_us, stalled_until_us, lawful_us + law.gap_us)
            self.serve_until(max(at_us, sent_us + law.gap_us) if spaced else at_us)
            if self.stopping:
                break
            if law.skip_every and n % law.skip_every == 0:
                meta.skipped.append(n)
            elif is_stalled:
                meta.stalled.append(n)
            elif now_us() >= at_us + law.period_us:
                meta.overrun.append(n)
            else:
                self.tick(n, due_us)
                lawful_us, sent_us = at_us, now_us()
            n += 1
        for peer in self.outbox.peers.values():
            self.outbox.note_unfinished(peer)

    def serve_until(self, time_us: int) -> None:
        """See to peers until then, at least once: a server that is always late must hear them all the same."""
        outbox, epoll = self.outbox, self.outbox.epoll
        outbox.end_closing()
        while True:
            events = epoll.poll(0, EVENTS_A_TURN)
            if events:
                self.stopping = any(fd == self.waker.fileno() for fd, _ in events)
                self.door.turn(events)
            if outbox.timeline:
                outbox.release()
            wait_us = time_us - now_us()
            if wait_us <= 0 or self.stopping:
                return
            if not events:
                if outbox.timeline:
                    wait_us = max(0, min(wait_us, outbox.timeline[0][0] - now_us()))
                # Unlike epoll, select waits for less than a millisecond too, and an epoll can be waited for.
                select.select([epoll], [], [], wait_us / 1e6)

    # Ticks

    def tick(self, n: int, due_us: int) -> None:
        law, meta = self.law, self.meta
        meta.ticks += 1
        if law.drop_all_every and n % law.drop_all_every == 0:
            meta.dropped.append(n)
        else:
            for room in list(self.door.rooms.values()):
                self.tick_room(room, n, due_us)
        if self.door.doomed:
            self.doom()
        if law.stall_every and n and n % law.stall_every == 0:
            began_us = now_us()
            select.select([self.waker], [], [], law.stall_ms / 1000)
            meta.stalls.append(Stall(n, began_us, now_us()))

    def tick_room(self, room: Room, n: int, due_us: int) -> None:
        law = self.law
        room.ticks += 1
        if law.ping_every and n % law.ping_every == 0:
            self.ping(room, n)
        sent_us = self.door.now_us()
        stated_us = due_us + law.clock_shift_us
        if law.early_every and n % law.early_every == 0:
            stated_us = sent_us + int(law.early_ms * 1000)
        elif law.very_late_every and n % law.very_late_every == 0:
            stated_us = sent_us - int(law.very_late_s * 1e6)
        size = law.large_bytes if law.large_every and n % law.large_every == 0 else 0
        tick = Tick(room.number, n, stated_us, sent_us)
        self.outbox.last_tick = tick
        if law.minds_connections:
            self.fan_out_oddly(room, tick, size, due_us)
        elif law.late_by_frame:
            self.fan_out_later(room, tick, frame(tick_text(tick, law.pad_bytes, size=size)), due_us)
        else:
            self.fan_out(room, tick, frame(tick_text(tick, law.pad_bytes, size=size)))

    def fan_out(self, room: Room, tick: Tick, data: bytes) -> None:
        """Send the same to all, at once. This is what makes 100,000 frames a second."""
        if self.law.tls or self.law.deflate:
            if not self.door.all_get_the_same(room):
                self.fan_out_one_by_one(room, tick, data)
                return
            data = self.door.compressor.compress(data)
        outbox, time_ns, size = self.outbox, time.time_ns, len(data)
        self.recorder.begin(tick)
        take_down = self.recorder.rows.extend
        for peer in list(room.peers.values()):
            if peer.unsent:
                outbox.block(peer, tick)
                continue
            before_ns = time_ns()
            try:
                sent = peer.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                outbox.end(peer, "gone")
                continue
            after_ns = time_ns()
            if sent == size:
                take_down((peer.index, before_ns, after_ns))
            else:
                outbox.keep(peer, data, sent, tick, before_ns)

    def fan_out_one_by_one(self, room: Room, tick: Tick, data: bytes) -> None:
        """Send to each what it has a coat of its own for."""
        outbox, time_ns = self.outbox, time.time_ns
        self.recorder.begin(tick)
        take_down = self.recorder.rows.extend
        for peer in list(room.peers.values()):
            if peer.unsent or peer.coat is None:
                outbox.block(peer, tick)
                continue
            dressed = peer.coat.dress(data)
            before_ns = time_ns()
            try:
                sent = peer.send(dressed)
            except BlockingIOError:
                sent = 0
            except OSError:
                outbox.end(peer, "gone")
                continue
            if sent == len(dressed):
                take_down((peer.index, before_ns, time_ns()))
            else:
                outbox.keep(peer, dressed, sent, tick, before_ns)

    def fan_out_later(self, room: Room, tick: Tick, data: bytes, due_us: int) -> None:
        """Send the same to all, to each at its time."""
        law, outbox, n, gap_us = self.law, self.outbox, tick.n, self.law.gap_us
        due_us += int(law.lateness_ms * 1000)
        for peer in list(room.peers.values()):
            outbox.line_up(peer, Write(due_us + law.late_us(n, peer.index), gap_us, data, tick))
            outbox.release()  # so many peers take a while: others shall not wait for it

    def fan_out_oddly(self, room: Room, tick: Tick, size: int, due_us: int) -> None:
        """Send to each what the law has for it."""
        law, outbox, n = self.law, self.outbox, tick.n
        text = tick_text(tick, law.pad_bytes, size=size)
        spaced_text = tick_text(tick, law.pad_bytes, space=" ", size=size)
        plain = frame(text)
        due_us += int(law.lateness_ms * 1000)
        for peer in list(room.peers.values()):
            index, is_first = peer.index, self.meta.ticks == peer.since + 1
            at_us = due_us + law.late_us(n, index) if law.late_by_frame else 0
            own = spaced_text if law.hits(law.space_every, n, index) else text
            data = frame(own) if own is not text else plain
            if law.hits(law.fragment_every, n, index):
                data = frame(own[:40], first=0x01) + frame(own[40:], first=0x80)
            splits = law.hits(law.split_every, n, index) and not law.hits(law.fragment_every, n, index)
            held, peer.held = peer.held, None
            if law.hits(law.swap_every, n, index) and not is_first:
                peer.held = (tick, data)
            elif is_first or not law.hits(law.drop_every, n, index):
                self.line_up(peer, at_us, tick, data, splits=splits)
                if law.hits(law.repeat_every, n, index):
                    self.line_up(peer, at_us, tick, data, splits=splits)
            if held is not None:
                outbox.line_up(peer, Write(at_us, law.gap_us, held[1], held[0]))
            outbox.release()

    def line_up(self, peer: Peer, at_us: int, tick: Tick, data: bytes, *, splits: bool) -> None:
        gap_us = self.law.gap_us
        if splits:
            self.outbox.line_up(peer, Write(at_us, gap_us, data[:50]))
            self.outbox.line_up(peer, Write(at_us, 1000, data[50:], tick, continues=True))
        else:
            self.outbox.line_up(peer, Write(at_us, gap_us, data, tick))

    def ping(self, room: Room, n: int) -> None:
        for peer in list(room.peers.values()):
            if not peer.unsent:
                payload = f"{peer.index}:{n}".encode()
                peer.pings.append(payload)
                self.meta.pings += 1
                self.outbox.write(peer, frame(payload, 0x80 | PING))

    def doom(self) -> None:
        """Send garbage to those whose time has come, and end those who are to end."""
        law, doomed = self.law, self.door.doomed
        for peer in list(doomed.values()):
            if self.meta.ticks - peer.since < law.close_after and not peer.over:
                continue
            del doomed[peer.index]
            end = law.end_for(peer.index)
            deeds = (law.garbage_for(peer.index), f"close:{law.close_code}" if end == "close" else end)
            for deed in filter(None, deeds):
                if peer.over or peer.closing:
                    break
                self.outbox.line_up(peer, Write(0, 0, deed=deed))


def now_us() -> int:
    return time.time_ns() // 1000


def main() -> None:
    law, path = Law(**json.loads(sys.argv[1])), Path(sys.argv[2])
    port = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    address = sys.argv[4] if len(sys.argv) > 4 else "127.0.0.1"
    allow_many_descriptors()
    waker, wakes = socket.socketpair()
    wakes.setblocking(False)  # noqa: FBT003 - socket's own
    signal.set_wakeup_fd(wakes.fileno())
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, lambda *_: None)  # the byte that comes to the waker is enough
    signal.setitimer(signal.ITIMER_REAL, law.life_s)
    recorder = Recorder()
    with socket.create_server((address, port), backlog=4096) as listener:
        server = PlantedServer(law, listener, waker, recorder)
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            server.run()
        finally:
            recorder.write(path)


if __name__ == "__main__":
    main()
