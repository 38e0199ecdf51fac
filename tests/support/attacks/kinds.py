"""Every attack by its name. What is promised of all of them is in docs/security.md; trial.py holds a server to it."""

import random
import zlib
from collections.abc import Callable

from tests.support.attacks.engine import Attack, Burst, Opening, Place
from tests.support.client import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    client_frame,
    request_bytes,
    upgrade_headers,
)

KIB4 = 4096
DEFLATE: dict[str, str | None] = {"Sec-WebSocket-Extensions": "permessage-deflate"}
ONCE = "--deflate=once"
"""Has every framework take it, with a fan-out that builds a frame once."""
MIB = 2**20
LIMIT_S = 1 / 50
"""Between two messages, well within what the servers take of a connection."""


# What is asked for


def get(target: str, *, close: bool = False) -> Opening:
    """Ask for a page."""
    more = {"Connection": "close"} if close else {}
    return lambda place, _: request_bytes("GET", target, {"Host": place.host, **more})


def post(target: str, headers: dict[str, str]) -> Opening:
    """Begin a request with a body."""
    return lambda place, _: request_bytes("POST", target, {"Host": place.host, **headers})


def upgrade(target: str = "/connect?room={room}", headers: dict[str, str | None] | None = None) -> Opening:
    """Ask for a WebSocket."""

    def opening(place: Place, number: int) -> bytes:
        asked = upgrade_headers({"Host": place.host, **(headers or {})})
        return request_bytes("GET", target.format(room=place.room, number=number), asked)

    return opening


def raw(data: bytes) -> Opening:
    """Send bytes as they are."""
    return lambda _, __: data


def again(data: bytes) -> Burst:
    """Send the same bytes every time."""
    return lambda _, __: data


def each(make: Callable[[random.Random], bytes]) -> Burst:
    """Send something else every time, but the same in every run."""
    return lambda number, burst: make(random.Random(number << 32 | burst))


def chance(make: Callable[[random.Random], bytes]) -> Opening:
    """Send something else on every connection."""
    luck = random.Random(1)
    return lambda _, __: make(luck)


def say(text: str) -> bytes:
    """Return a text message."""
    return client_frame(TEXT, text.encode())


def come_in(then: bytes = b"") -> Opening:
    """Give a name, and go on."""
    return lambda _, number: say(f'["new_player","m{number}"]') + then


# What is sent

LONG_INTEGER = say(f'["ping",{"9" * 4000}]')
FULL_MESSAGE = client_frame(TEXT, b'["ping",1]'.ljust(KIB4))
NESTED = say("[" * 4000)
KEYS = b"".join(say(str(key)) for key in (37, 38, 39, 40))


def compressed(plain: bytes, times: int = 1) -> bytes:
    """Return a message, so many times what is plain, as permessage-deflate (RFC 7692) has it."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflate.compress(plain) + deflate.flush(zlib.Z_SYNC_FLUSH)
    # Each block refers to itself alone, so that it can come again.
    return client_frame(TEXT, (packed * times).removesuffix(b"\x00\x00\xff\xff"), reserved=0b100)


MALFORMED = [
    b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
    b"GET / HTTP/1.1\nHost: x\n\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3_4\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    b"GET http://[::1/ HTTP/1.1\r\nHost: [\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
    b"GET / HTTP/9.9\r\n\r\n",
    b"\r\n" * 100,
]


def close_code(luck: random.Random) -> bytes:
    """Close with any code."""
    return client_frame(CLOSE, luck.randrange(65536).to_bytes(2) + b"bye")


def many_names(luck: random.Random) -> bytes:
    """Enter under another name each time, and play."""
    return say(f'["new_player","{luck.randbytes(7).hex()}"]') + say('["join"]')


HTTP = [
    Attack(
        "pipelined-stats",
        "one connection pipelines GET /stats at 20 KB/s and reads the answers",
        1,
        1,
        get("/stats"),
        burst=again(request_bytes("GET", "/stats", {"Host": "localhost"}) * 10),
        every_s=0.02,
    ),
    *(
        Attack(
            f"one-byte-chunks-{size}",
            "POST /x, chunked, a byte a chunk, without end",
            size,
            short,
            post("/x", {"Transfer-Encoding": "chunked"}),
            burst=again(b"1\r\nx\r\n" * 4096),
        )
        for size, short in ((1, 1), (16, 0), (64, 64))
    ),
    Attack(
        "endless-body",
        "POST with a body of a terabyte",
        8,
        8,
        post("/x", {"Content-Length": str(10**12)}),
        burst=again(b"x" * 65536),
    ),
    Attack(
        "endless-chunk",
        "POST with chunks of 64 KiB without end, at a page that there is",
        8,
        0,
        post("/stats", {"Transfer-Encoding": "chunked"}),
        burst=again(b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    ),
    Attack(
        "stats-16",
        "GET /stats again and again, each on its connection",
        16,
        0,
        get("/stats"),
        burst=again(request_bytes("GET", "/stats", {"Host": "localhost"})),
        asks_again=True,
    ),
    Attack(
        "stats-64",
        "GET /stats again and again, each on its connection",
        64,
        64,
        get("/stats"),
        burst=again(request_bytes("GET", "/stats", {"Host": "localhost"})),
        asks_again=True,
    ),
    Attack(
        "page-1000",
        "GET / twenty times a second, each on its connection",
        1000,
        100,
        get("/"),
        burst=again(request_bytes("GET", "/", {"Host": "localhost"})),
        every_s=0.05,
    ),
    Attack("stats-new-16", "GET /stats, a connection each", 16, 0, get("/stats", close=True)),
    Attack("stats-new-64", "GET /stats, a connection each", 64, 64, get("/stats", close=True)),
    Attack(
        "metrics-64",
        "GET /metrics again and again, each on its connection",
        64,
        0,
        get("/metrics"),
        burst=again(request_bytes("GET", "/metrics", {"Host": "localhost"})),
        asks_again=True,
    ),
    Attack(
        "unread-stats",
        "GET /stats pipelined without end, and nothing read",
        32,
        32,
        get("/stats"),
        burst=again(request_bytes("GET", "/stats", {"Host": "localhost"}) * 20),
        reads=False,
    ),
    Attack(
        "not-found",
        "pages that there are not, pipelined without end",
        32,
        16,
        get("/nothing"),
        burst=again(request_bytes("GET", "/nothing", {"Host": "localhost"}) * 20),
    ),
    Attack(
        "page-64",
        "the page, and what belongs to it, again and again",
        64,
        0,
        get("/"),
        burst=each(lambda luck: get(luck.choice(("/", "/client.js", "/style.css")))(Place("localhost", ""), 0)),
        asks_again=True,
    ),
    Attack(
        "slow-heads",
        "heads that never end, a line a second",
        300,
        0,
        raw(b"GET / HTTP/1.1\r\n"),
        burst=again(b"X: y\r\n"),
        every_s=1.0,
    ),
    Attack(
        "dribbled-heads",
        "heads, a byte after the other",
        300,
        40,
        raw(b"GET / HTTP/1.1\r\nX: "),
        burst=again(b"x"),
        every_s=0.05,
    ),
    Attack(
        "endless-heads",
        "heads without end, as fast as may be",
        16,
        16,
        raw(b"GET / HTTP/1.1\r\nX: "),
        burst=again(b"x" * 16384),
    ),
    Attack(
        "malformed-heads",
        "what RFC 9112 forbids",
        32,
        16,
        chance(lambda luck: luck.choice(MALFORMED)),
    ),
    Attack("half-handshakes", "half a handshake, and silence", 500, 60, raw(b"GET /connect HTTP/1.1\r\nHost: x\r\nUp")),
    Attack("churn", "connections that are reset at once", 64, 32, raw(b""), lives_s=0.0),
    Attack(
        "refused-upgrades",
        "upgrades that are refused, of a foreign origin",
        64,
        0,
        upgrade(headers={"Origin": "http://evil.example"}),
    ),
    Attack("upgrade-churn", "upgrades, each left at once", 64, 16, upgrade(), greeting=raw(b""), lives_s=0.0),
]

WEBSOCKET = [
    Attack(
        "long-integers",
        'within the rate, ["ping", and 4,000 digits',
        120,
        200,  # in a second less piles up
        upgrade(),
        greeting=come_in(),
        burst=again(LONG_INTEGER),
        every_s=LIMIT_S,
    ),
    Attack(
        "empty-fragments",
        "fragments of nothing without end",
        32,
        32,
        upgrade(),
        greeting=come_in(client_frame(TEXT, b"[", fin=False)),
        burst=again(client_frame(CONTINUATION, b"", fin=False) * 2000),
    ),
    Attack(
        "flood",
        "messages of 4 KiB without end, in the room",
        200,
        60,
        upgrade(),
        greeting=come_in(),
        burst=again(FULL_MESSAGE * 16),
    ),
    Attack(
        "flood-at-the-door",
        "messages of 4 KiB without end, before they have a name",
        200,
        60,
        upgrade(),
        greeting=raw(FULL_MESSAGE),
        burst=again(FULL_MESSAGE * 16),
    ),
    Attack(
        "nested",
        "4,000 brackets that open",
        32,
        16,
        upgrade(),
        greeting=come_in(NESTED * 3),
    ),
    Attack(
        "busy-keys",
        "keys within the rate, from many",
        60,
        30,
        upgrade(),
        greeting=come_in(say('["join"]')),
        burst=again(KEYS),
        every_s=4 * LIMIT_S,
    ),
    Attack(
        "pings",
        "ping frames of 125 bytes, 59 a second",
        100,
        40,
        upgrade(),
        greeting=come_in(),
        burst=again(client_frame(PING, b"p" * 125)),
        every_s=1 / 59,
    ),
    Attack("close-codes", "closes with codes by chance", 32, 16, upgrade(), greeting=chance(close_code)),
    Attack(
        "garbage",
        "random bytes for frames",
        32,
        16,
        upgrade(),
        greeting=chance(lambda luck: luck.randbytes(1000)),
    ),
    Attack(
        "unmasked",
        "frames without a mask",
        32,
        0,
        upgrade(),
        greeting=come_in(),
        burst=again(client_frame(TEXT, b'["ping",1]', masked=False) * 100),
    ),
    Attack(
        "declared",
        "frames that declare a terabyte",
        64,
        16,
        upgrade(),
        greeting=come_in(client_frame(TEXT, declared_length=2**40)),
        burst=again(b"x" * 65536),
    ),
    Attack(
        "deflate-bombs",
        "messages of 4 MiB in 4 KiB, where deflate is taken",
        16,
        8,
        upgrade(headers=DEFLATE),
        greeting=come_in(compressed(b" " * 4 * MIB)),
        flags=(ONCE,),
    ),
    Attack("many-names", "a name after the other", 32, 16, upgrade(), greeting=chance(many_names), lives_s=0.1),
    Attack(
        "unread-room",
        "in the room, reading nothing",
        50,
        20,
        upgrade(),
        greeting=come_in(),
        reads=False,
    ),
    Attack(
        "rooms-left",
        "a room each, left at once",
        999,
        999,
        upgrade("/connect?room=a{number}"),
        greeting=raw(b""),
        lives_s=0.0,
        returns=False,
        spread=0.5,
    ),
    Attack("rooms-held", "a room each, and silence", 999, 999, upgrade("/connect?room=a{number}"), spread=0.5),
    Attack(
        "crowd",
        "come slowly, and all give their name at once",
        8000,
        500,
        upgrade(),
        greeting=come_in(),
        returns=False,
        spread=0.5,
        strike=0.55,
    ),
    Attack(
        "crowd-again",
        "the same, and whoever is thrown out comes again, until all are in whom the ticks have time for",
        8000,
        0,
        upgrade(),
        greeting=come_in(),
        spread=0.5,
        strike=0.55,
        may_refuse=True,
        leaves_memory=True,
    ),
    Attack(
        "crowd-at-once",
        "come slowly, as many as like may sit there, and all give their name at once",
        8000,
        0,
        upgrade(),
        greeting=come_in(),
        returns=False,
        spread=0.5,
        strike=0.55,
        flags=("--max-unnamed", "100000"),
        may_refuse=True,
        leaves_memory=True,
    ),
]

ECHO = [
    Attack(
        "echo-bytes",
        "messages of one byte to /echo without end",
        4,
        4,
        upgrade("/echo"),
        greeting=raw(b""),
        burst=again(client_frame(TEXT, b"x") * 5000),
        flags=("--echo",),
    ),
    Attack(
        "echo-mebibytes",
        "messages of a MiB to /echo without end",
        4,
        4,
        upgrade("/echo"),
        greeting=raw(b""),
        burst=again(client_frame(BINARY, b"x" * MIB)),
        flags=("--echo",),
    ),
    Attack(
        "echo-pings",
        "pings to /echo without end",
        4,
        4,
        upgrade("/echo"),
        greeting=raw(b""),
        burst=again(client_frame(PING, b"x" * 125) * 1000),
        flags=("--echo",),
    ),
    Attack(
        "echo-unread",
        "messages to /echo without end, and nothing read",
        4,
        0,
        upgrade("/echo"),
        greeting=raw(b""),
        burst=again(client_frame(BINARY, b"x" * 65536) * 4),
        reads=False,
        flags=("--echo",),
    ),
    Attack(
        "echo-inflated",
        "messages to /echo that inflate to 100 MB, where deflate is taken",
        20,
        20,
        upgrade("/echo", headers=DEFLATE),
        greeting=raw(compressed(b" " * 10**6, times=100)),
        flags=("--echo", ONCE),
    ),
]

ATTACKS = {attack.name: attack for attack in (*HTTP, *WEBSOCKET, *ECHO)}
HARMFUL = (
    "pipelined-stats",
    "one-byte-chunks-1",
    "one-byte-chunks-16",
    "one-byte-chunks-64",
    "endless-body",
    "long-integers",
    "empty-fragments",
    "stats-16",
    "stats-64",
    "flood",
    "rooms-left",
    "crowd",
    "echo-bytes",
)
"""Those that silenced players, kept newcomers out or took memory for good when nothing was bounded."""
ALONE = (
    "pipelined-stats",
    "one-byte-chunks-64",
    "stats-64",
    "endless-heads",
    "long-integers",
    "empty-fragments",
    "flood",
    "rooms-left",
    "rooms-held",
    "crowd",
    "echo-bytes",
)
"""Those of which the test has one on a server of its own: each broke a promise there on one server when unbounded."""
INFLATED = tuple(name for name, attack in ATTACKS.items() if ONCE in attack.flags)
"""Those that the test has on one server in turns that takes deflate."""
TOGETHER = tuple(name for name, attack in ATTACKS.items() if attack.short and name not in (*ALONE, *INFLATED))
"""Of the others, those that the test has on one server in turns."""
