"""The base classes of all Locust users: watchers, players and echo users. The scenarios say what they do when."""

import math
import random
import time
from collections import defaultdict
from typing import Any, ClassVar, NoReturn

import gevent
import msgspec
from locust import User
from locust.env import Environment
from locust.exception import StopUser

from loadtests.account.counts import MAIN
from loadtests.options import LoadOptions
from loadtests.receive.connection import Connection
from loadtests.receive.stamps import now_us
from loadtests.run.worker import LoadWorker
from loadtests.scenario import is_among
from loadtests.users.board import DIRECTIONS, Board
from loadtests.users.key_latency import KeyWatch
from loadtests.users.pauses import Pauses

GONE_AFTER_S = 60.0
"""Who is cut off and has not come back after so long does not try any more."""


class SnakeUser(User):
    """Has one connection at a time, which :meth:`enter` opens."""

    abstract = True
    worker: ClassVar[LoadWorker]
    """The worker of the current run."""
    announced: ClassVar[bool] = False
    """As for :class:`~loadtests.account.room_ticks.RoomTicks`."""
    is_off: ClassVar[bool] = False
    """There is no run in this process: each user that Locust starts stops at once."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.connection: Connection | None = None
        self._in_since_s = 0.0  # when the last connection got its first tick; 0: none has
        self._pauses = Pauses()
        if not self.is_off:
            self.number = self.worker.new_user()
            self.room = self.worker.room_of(self.number)

    def on_start(self) -> None:
        """Stop at once if there is no run."""
        if self.is_off:
            self.go_home()

    @property
    def options(self) -> LoadOptions:
        """The options of the run."""
        return self.worker.options

    def is_among(self, percent: float) -> bool:
        """Return whether this user is one of ``percent`` of all, chosen at even distances."""
        return is_among(self.number, percent)

    def enter(self, group: str = MAIN, *, at_once: bool = False) -> bool:
        """
        Connect, ``at_once`` or in turn in the ramp, and wait for the first tick; return whether it came.

        Who is to leave, or to stop reading, by plan is in a ``group`` of its own: a user of the main one that leaves
        before the end spoils the run.
        """
        if not at_once:
            self.worker.wait_turn()
        listener = self.on_text if self.listens() else None
        self.connection = self.worker.connection(self.room, group, self.greeting, listener, announced=self.announced)
        is_in = self.connection.open(self.options.connect_timeout_s)
        if is_in:
            self._in_since_s = time.monotonic()
        return is_in

    def stay(self, seconds: float | None = None) -> None:
        """
        Stay connected for some seconds, or to the end; stop this user if the connection ends before.

        Who is to stay to the end comes back where that is asked for.
        """
        while self.connection is not None:
            self.connection.wait_end(seconds)
            if seconds is not None or not self.come_back():
                break
        if seconds is None or self.connection is None or self.connection.is_over:
            self.go_home()

    def come_back(self) -> bool:
        """
        Connect again after the connection was lost, as the page does; return whether the user is in again.

        Nobody does who was not asked to (``--reconnect``), never was in, or is not wanted any more.
        """
        if not self.options.reconnects or self.connection is None or not self._in_since_s:
            return False
        ledger, until_s = self.worker.returns, time.monotonic() + GONE_AFTER_S
        ledger.lose(self.number, self.connection.index)
        self._pauses.held(time.monotonic() - self._in_since_s)
        while self.connection.may_come_again and time.monotonic() < until_s:
            ledger.forgive(self.connection.index)
            self.rest(self._pauses.next_s())
            ledger.begin(self.worker.server_now_us())
            is_in = self.enter(at_once=True)
            ledger.settled += 1
            if is_in:
                ledger.come_back(self.number, self.connection.index)
                return True
        ledger.give_up(self.number)
        return False

    def leave(self) -> None:
        """Close the connection by plan: from now on no ticks are due to this user, even if it had failed before."""
        if self.connection is not None:
            self.connection.close()
            self.worker.excuse(self.connection)

    def go_home(self) -> NoReturn:
        """Stop this user."""
        raise StopUser

    def rest(self, seconds: float) -> None:
        """Do nothing for a while, connected or not."""
        gevent.sleep(seconds)

    def stop_reading(self) -> None:
        """Stop reading: what the server sends stays in the buffers."""
        if self.connection is not None:
            self.worker.stop_reading(self.connection)

    def wait_for_stage(self, stage: int = 0) -> None:
        """Wait until a stage of the measured window begins: 0 is its start."""
        self.worker.wait_for_stage(stage, outside=self.connection is None)

    def greeting(self, connection: Connection) -> bytes:  # noqa: ARG002 - others look at it
        """Return the first message of a connection, which tells the server this user's name."""
        return msgspec.json.encode(["new_player", self.worker.name_of(self.number)])

    def listens(self) -> bool:
        """Return whether :meth:`on_text` is to be called with this user's messages."""
        return False

    def on_text(self, n: int, text: bytes, arrival_us: int) -> None:
        """Handle a message: that of tick ``n``, or (n is -1) another. Called in the hub, so it must not wait."""

    def on_stop(self) -> None:
        """Close the connection, when Locust or the user itself stops: ticks due to it before still are."""
        if self.connection is not None:
            self.connection.close()


class SnakePlayer(SnakeUser):
    """Sees the field, and can have a snake on it."""

    abstract = True
    boards: ClassVar[defaultdict[str | None, Board]] = defaultdict(Board)
    """One board per room, as all in it see the same."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.player_id: int | None = None
        self._asked_us = 0
        if not self.is_off:
            self.board = self.boards[self.room]
            self._keys = KeyWatch(self.worker.speed)

    def join(self) -> None:
        """Ask for a snake, at most once a second: a full game answers each time with an error."""
        if self.connection is None or self.worker.stands_still:
            return
        if now_us() - self._asked_us > 1_000_000:
            self._asked_us = now_us()
            self.connection.send_text(b'["join"]')

    def press(self, key: int) -> None:
        """Press a key, by its code, and measure how long it takes until the turn is seen."""
        if self.connection is None or self.worker.stands_still:
            return
        self._keys.press(DIRECTIONS[key], now_us(), self.board.last_n)
        self.connection.send_text(b"%d" % key)

    def is_alive(self) -> bool:
        """Return whether the player's snake is in the field."""
        return self.player_id in self.board.heads

    def way_on(self, seconds: float, whim: float) -> int | None:
        """Return the key that the snake needs to live ``seconds`` longer, or one with probability ``whim``, or None."""
        if self.player_id is None:
            return None
        cells = math.ceil((seconds + 2 / self.worker.tick_rate_hz) * self.worker.speed)  # a key takes a tick or two
        key = self.board.way_out(self.player_id, lookahead=cells)
        if key is None and random.random() < whim:
            return self.board.side_way(self.player_id, lookahead=cells)
        return key

    def come_back(self) -> bool:
        """
        Connect again as a newcomer, perhaps in another life of the room.

        The board is then this player's own: those who are in the room share none that is known to be of this life.
        """
        self.player_id, self.board, self._keys = None, Board(), KeyWatch(self.worker.speed)
        return super().come_back()

    def listens(self) -> bool:
        """Return True: players need the field."""
        return True

    def on_text(self, n: int, text: bytes, arrival_us: int) -> None:
        """Find out the player's id, what the field looks like, and whether the snake has turned."""
        if n < 0 and self.player_id is None:
            self.player_id = _player_id(text)
        self.board.take(n, text)
        if n < 0 or self.player_id is None or self.connection is None:
            return
        took_us = self._keys.look(self.board.heads.get(self.player_id), n, arrival_us)
        if took_us is not None:
            self.worker.record_input(self.connection, took_us)


class EchoUser(SnakeUser):
    """Sends messages that look like tick frames, and gets them back."""

    abstract = True
    announced = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        if self.is_off:
            return
        self.room = f"echo{self.number}"  # a room in our accounts only, whose ticks are this user's messages
        self._n = 0
        self._period_us = round(1e6 / self.options.echo_rate_hz) if self.options.echo_rate_hz else 0
        self._pad = "." * max(0, self.options.echo_bytes - ECHO_HEAD_BYTES)

    def greeting(self, connection: Connection) -> bytes:
        """Return the first message; a user is in when it has come back."""
        return self._message(connection, now_us())

    def listens(self) -> bool:
        """Return whether the loop is closed."""
        return not self._period_us

    def keep_sending(self) -> None:
        """Send at the rate that was asked for, whatever comes back (open loop), or each when the last came back."""
        if self._period_us and self.connection is not None:
            # Users are spread over the period by the golden ratio, as the server's rooms are.
            phase_us = int(self._period_us * (self.number * 0.6180339887498949 % 1))
            self.worker.pacer.pace(now_us() + phase_us, self._period_us, self._send)
        elif self.connection is not None:
            self._send(now_us())

    def on_text(self, n: int, text: bytes, arrival_us: int) -> None:  # noqa: ARG002 - what came back is not looked at
        """Send the next message: the loop is closed."""
        if n > 0:
            self._send(now_us())

    def _send(self, due_us: int) -> bool:
        """Send what is due; return whether there is still a connection to send on."""
        if self.connection is None or not self.connection.ticking:
            return False
        self.connection.send_text(self._message(self.connection, due_us))
        return True

    def _message(self, connection: Connection, due_us: int) -> bytes:
        sent_us = max(due_us, now_us()) if self._n and self._period_us else now_us()
        due_us = due_us if self._period_us else sent_us
        due_us, sent_us = self.worker.expect(connection, self._n, due_us, sent_us)
        text = f'[["tick",{self._n},{due_us},{sent_us}],["pad","{self._pad}"]]'
        self._n += 1
        return text.encode()


ECHO_HEAD_BYTES = 66
"""About as long as an echo message is without its padding."""


def _player_id(text: bytes) -> int | None:
    """Return the player id from the message that begins with ``handshake``, None from any other."""
    try:
        match msgspec.json.decode(text):
            case [["handshake", str(), int(player_id)], *_]:
                return player_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass  # the connection's own checks object to it
    return None


def forget_boards(**_: Any) -> None:
    """Forget the boards of the last run, whose rooms are gone."""
    SnakePlayer.boards.clear()
