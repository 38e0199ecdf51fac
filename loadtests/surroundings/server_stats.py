"""
Fetches and checks the server's /stats. A server that has no such page is loaded all the same.

Any server may answer: so time and size of an answer are limited, and one with impossible values is rejected.
:mod:`loadtests.account.server_figures` computes figures from two answers.
"""

import http.client
import io
import time
from typing import Annotated, Any, NamedTuple

import msgspec

from loadtests.receive.stamps import now_us
from loadtests.receive.transport import Address, reason_of
from loadtests.surroundings.line import Line, line_to
from loadtests.surroundings.reachability import NoServerError, check_server
from shared.measure.quota import Count, Quota
from shared.measure.summary import ServerTicks
from shared.printable import plain
from shared.wire.target import Target
from shared.wire.tls import TlsError

TIMEOUT_S = 10.0
"""For the whole answer, even if it comes in pieces."""
MAX_BYTES = 4 * 1024 * 1024
"""Limit of the whole answer; 1,000 rooms take 0.2 MB."""
PIECE_BYTES = 64 * 1024
MAX_WORDS = 160
"""Length limit of what is told about a wrong answer."""

_EXACT = 2**53
"""Larger JSON numbers are not exact integers in every language; in microseconds it is 285 years."""
Moment = Annotated[int, msgspec.Meta(ge=0, le=_EXACT)]
"""Microseconds since the epoch."""
Core = Annotated[int, msgspec.Meta(ge=0, lt=2**16)]
ShortText = Annotated[str, msgspec.Meta(max_length=200)]


class RoomStats(msgspec.Struct, frozen=True):
    """One element of ``rooms``."""

    name: str
    n: Count = 0
    """The tick that comes next."""
    skipped_ticks: Count = 0


class ProcessStats(msgspec.Struct, frozen=True):
    """The object ``process``."""

    pid: Count
    cpu_s: Annotated[float, msgspec.Meta(ge=0, le=1e12)]
    rss_bytes: Count
    cpus: list[Core] | None = None
    children: list[Count] = []
    quotas: list[Quota] = []


class SettingsStats(msgspec.Struct, frozen=True):
    """The object ``settings``."""

    speed: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] | None = None
    """In cells a second; None: a snake moves with every tick."""
    bots: Count = 0


class ServerStats(msgspec.Struct, frozen=True):
    """The part of /stats that the generator uses."""

    boot_id: ShortText
    clock_offset_us: Annotated[int, msgspec.Meta(ge=-_EXACT, le=_EXACT)]
    now_us: Moment
    tick_rate_hz: Annotated[float, msgspec.Meta(ge=0.001, le=1_000_000)]
    connections: Count
    ticks: ServerTicks
    process: ProcessStats
    rooms: list[RoomStats] = []
    settings: SettingsStats = SettingsStats()
    slow_skips: Count = 0
    slow_closed: Count = 0
    accepted: Count | None = None
    """WebSocket upgrades since the start of the server; None where it does not tell."""
    frames_sent: Count | None = None
    """Tick frames sent to all clients; None where it does not tell."""
    asked_us: int = 0
    """When we asked, on our CLOCK_REALTIME; this and the next three are not from the page."""
    answered_us: int = 0
    asked_s: float = 0.0
    """The same on our monotonic clock."""
    answered_s: float = 0.0


class NotOursError(Exception):
    """The answer is no /stats of ours; the text says in a few words what is wrong with it."""


def fetch_stats(target: Target, address: Address) -> ServerStats:
    """
    Return what the server of ``target`` at ``address`` says; takes at most :data:`TIMEOUT_S`.

    Raises:
        NotOursError: it has no /stats of ours, or states impossible values there.
        OSError: it can't be reached, or does not answer in time.

    """
    # To this address, not to whichever its name has by now.
    try:
        with line_to(target, address, TIMEOUT_S) as line:
            asked_us, asked_s = now_us(), time.monotonic()
            line.send(target.request(target.beside("stats"), "Connection: close"))
            body, answered_us, answered_s = _read_page(_BoundedReader(line))
    except TlsError as error:
        raise OSError(str(error)) from error
    return msgspec.structs.replace(
        decode_stats(body), asked_us=asked_us, answered_us=answered_us, asked_s=asked_s, answered_s=answered_s
    )


def decode_stats(body: bytes) -> ServerStats:
    """
    Return what a page says; all its numbers are in a range that is safe to compute with.

    Raises:
        NotOursError: it is none of ours, or states impossible values.

    """
    try:
        page = msgspec.json.decode(body, type=ServerStats)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotOursError(plain(str(error), MAX_WORDS)) from error
    # The only texts of it that are ever shown.
    quotas = [msgspec.structs.replace(quota, group=plain(quota.group)) for quota in page.process.quotas]
    return msgspec.structs.replace(page, process=msgspec.structs.replace(page.process, quotas=quotas))


class FoundServer(NamedTuple):
    """A server before the first connection of a run."""

    address: Address
    stats: ServerStats | None = None
    """None where it has no /stats of ours."""
    why_none: str = ""
    """Why not, in a few words."""


def find_server(target: Target) -> FoundServer:
    """
    Look for the server of a target.

    Raises:
        NoServerError: there is no server.

    """
    address = check_server(target)
    try:
        return FoundServer(address, fetch_stats(target, address))
    except NotOursError as error:
        return FoundServer(address, None, str(error))
    except http.client.RemoteDisconnected:
        return FoundServer(address, None, "it hangs up")
    except OSError as error:
        raise NoServerError(
            f"{target.place} does not answer GET {target.beside('stats')}: {reason_of(error)}"
        ) from error


class _BoundedReader(io.RawIOBase):
    """Reads from a connection up to :data:`MAX_BYTES`."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line
        self._left_bytes = MAX_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = self._line.read_into(buffer)
        self._left_bytes -= size
        if self._left_bytes < 0:
            raise NotOursError(f"more than {MAX_BYTES // 2**20} MiB")
        return size

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return what http.client reads a response from."""
        return io.BufferedReader(self)


def _read_page(reader: _BoundedReader) -> tuple[bytes, int, float]:
    """Return a page, and when its head came, on CLOCK_REALTIME in microseconds and on the monotonic clock."""
    response = http.client.HTTPResponse(reader, method="GET")  # type: ignore[arg-type] # it asks for makefile only
    try:
        response.begin()
        answered_us, answered_s = now_us(), time.monotonic()
        if response.status != http.HTTPStatus.OK:
            raise NotOursError(f"HTTP status {response.status}")
        # In pieces: read() would allocate as many bytes as the server says that it will send.
        pieces = iter(lambda: response.read(PIECE_BYTES), b"")
        return b"".join(pieces), answered_us, answered_s
    except http.client.RemoteDisconnected:
        raise  # it is an OSError, too: the server may answer another time
    except http.client.HTTPException as error:
        raise NotOursError(plain(f"no HTTP: {error!r}", MAX_WORDS)) from error
    except ValueError as error:  # an invalid length, or size of a chunk
        raise NotOursError(plain(f"no HTTP: {error}", MAX_WORDS)) from error
    finally:
        response.close()
