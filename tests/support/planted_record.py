"""
What the planted server did: the sends, compact enough for 100,000 a second, and the events around them.

The file is one line of JSON (:class:`Meta` and two lengths), then int64 in this machine's order: three a send
(connection, ns before, ns after), then five a block of sends of one tick (room, n, due, sent, its first send).
"""

import json
from array import array
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.support.planted_wire import Tick

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Column = NDArray[np.int64]


class Send(NamedTuple):
    """
    A tick frame as it was handed to the kernel; times in microseconds.

    ``before_us`` and ``after_us`` are of CLOCK_REALTIME, around the send (of its last piece, if it was split; until the
    last piece was taken, if the peer was blocked). ``due_us`` and ``sent_us`` are as stated in the frame.
    """

    connection: int
    n: int
    due_us: int
    before_us: int
    after_us: int
    room: int = 0
    sent_us: int = 0


@dataclass(frozen=True)
class Columns:
    """The same sends, a column each, in the order in which they ended."""

    connection: "Column"
    n: "Column"
    due_us: "Column"
    before_us: "Column"
    after_us: "Column"
    room: "Column"
    sent_us: "Column"

    def __len__(self) -> int:
        return len(self.n)


class End(NamedTuple):
    """The end of a connection that played; ``at_us`` is when the server did it, or saw it."""

    connection: int
    code: int | None  # of the first close frame
    at_us: int
    how: str  # "close", "half_close", "reset"; "left": the peer's close frame, "gone": none came


class Noise(NamedTuple):
    """Garbage that was sent."""

    connection: int
    name: str
    at_us: int


class Stall(NamedTuple):
    n: int  # after which tick
    began_us: int
    ended_us: int


@dataclass
class Meta:
    """All but the sends."""

    handshakes: int = 0  # with a key
    refused: int = 0  # with 503
    silent: int = 0
    mute: int = 0
    bad_handshakes: dict[str, int] = field(default_factory=dict)
    players: int = 0  # connections that sent a first message
    joined_us: list[int] = field(default_factory=list)  # when each of them did
    rooms: list[str] = field(default_factory=list)  # their names: ``room`` counts in here
    started_us: int = 0  # when tick 0 was due, on CLOCK_REALTIME
    ticks: int = 0  # not skipped
    skipped: list[int] = field(default_factory=list)  # by skip_every
    stalled: list[int] = field(default_factory=list)  # skipped after a stall
    overrun: list[int] = field(default_factory=list)  # skipped as the server itself was late: nothing a law wants
    dropped: list[int] = field(default_factory=list)  # sent to nobody
    blocked: int = 0  # ticks not sent to a peer that did not read
    blocked_ticks: list[tuple[int, int]] = field(default_factory=list)  # connection, n
    unfinished: list[tuple[int, int]] = field(default_factory=list)  # begun, but not taken in full
    pings: int = 0  # sent
    pongs: int = 0
    bad_pongs: int = 0  # to no ping of ours
    texts: int = 0  # text messages that came
    ends: list[End] = field(default_factory=list)
    garbage: list[Noise] = field(default_factory=list)
    stalls: list[Stall] = field(default_factory=list)

    @property
    def all_skipped(self) -> int:
        return len(self.skipped) + len(self.stalled) + len(self.overrun)


class Recorder:
    """Takes sends down. Call :meth:`begin` for the tick, then extend ``rows`` by connection, ns before, ns after."""

    def __init__(self) -> None:
        self.meta = Meta()
        self.rows = array("q")
        self._blocks = array("q")
        self._tick: Tick | None = None

    def begin(self, tick: Tick) -> None:
        if tick is not self._tick:
            self._tick = tick
            self._blocks.extend((*tick, len(self.rows) // 3))

    def write(self, path: Path) -> None:
        with path.open("wb") as file:
            head = {"rows": len(self.rows), "blocks": len(self._blocks), "meta": asdict(self.meta)}
            file.write(json.dumps(head).encode() + b"\n")
            self.rows.tofile(file)
            self._blocks.tofile(file)


def read_meta(path: Path) -> Meta:
    with path.open("rb") as file:
        meta = Meta(**json.loads(file.readline())["meta"])
    meta.ends = [End(*end) for end in meta.ends]
    meta.garbage = [Noise(*noise) for noise in meta.garbage]
    meta.stalls = [Stall(*stall) for stall in meta.stalls]
    meta.blocked_ticks = [(connection, n) for connection, n in meta.blocked_ticks]
    meta.unfinished = [(connection, n) for connection, n in meta.unfinished]
    return meta


def read_arrays(path: Path) -> Columns:
    import numpy as np  # noqa: PLC0415 - the server has no use for it, and shall not carry its threads

    with path.open("rb") as file:
        head = json.loads(file.readline())
        rows = np.fromfile(file, np.int64, head["rows"]).reshape(-1, 3)
        blocks = np.fromfile(file, np.int64, head["blocks"]).reshape(-1, 5)
    sends = np.repeat(blocks, np.diff(blocks[:, 4], append=len(rows)), axis=0)
    return Columns(
        connection=rows[:, 0].copy(),
        n=sends[:, 1].copy(),
        due_us=sends[:, 2].copy(),
        before_us=rows[:, 1] // 1000,
        after_us=rows[:, 2] // 1000,
        room=sends[:, 0].copy(),
        sent_us=sends[:, 3].copy(),
    )


def read_record(path: Path) -> list[Send]:
    columns = read_arrays(path)
    lists = [getattr(columns, name).tolist() for name in Send._fields]
    return list(map(Send._make, zip(*lists, strict=True)))
