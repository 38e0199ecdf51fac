"""Checks of how a client enters: the upgrade, what comes before ``new_player``, the welcome, names."""

import json

from shared.wire.handshake import DEFAULT_ROOM
from shared.wire.target import DEFAULT_PATH
from tickbench.conformance.check import ERROR, about, check, need_errors, raise_flaws
from tickbench.conformance.peer import to_common_tick
from tickbench.conformance.server_under_test import ServerUnderTest, read_welcome
from tickbench.conformance.shapes import flaw
from tickbench.conformance.verdict import FaultError, NotTriedError, quote

TOO_EARLY = ("37", '["join"]', '["ping",1]', '["leave"]')
WELCOME = ["handshake", "world", "top_scores"]
LISTEN_TICKS = 5
MOST_TOP_SCORES = 15
NAMES = {
    "  Ada\t": "Ada",
    "A\x00d\x1fa\x7f": "Ada",
    " \n Ada \n Lovelace \x00": "Ada  Lovelace",
    "123456789012345": "123456789012345",
    "\U0001f40d" * 15: "\U0001f40d" * 15,
}
BAD_NAMES = ("", " \n\t", "1234567890123456")
NAME_RIGHT = "control characters are taken out and white space is trimmed, then 1 to 15 characters are left"


@check("One WebSocket at GET /connect, upgraded as RFC 6455 has it.", "neither", grade="measurement")
def upgrade(server: ServerUnderTest) -> None:
    headers = {str(name).lower(): value for name, value in (server.connect().ws.getheaders() or {}).items()}
    unasked = [name for name in ("sec-websocket-extensions", "sec-websocket-protocol") if name in headers]
    raise_flaws(f"{name}: {headers[name]}, which was not asked for" for name in unasked)


# Before new_player


@check("Anything before new_player is answered by an error.", grade="hardening")
def new_player_first(server: ServerUnderTest) -> None:
    need_errors(server.connect, TOO_EARLY, " before new_player")


@check(
    "Before its accepted new_player a connection gets nothing but errors.",
    "nothing but errors",
    grade="interoperability",
)
def nothing_before(server: ServerUnderTest) -> None:
    room = server.fresh_room()
    member, stranger = server.enter(room), server.connect(room)
    member.next_tick()
    for message in stranger.messages(LISTEN_TICKS * server.period_s):
        if not message.is_error:
            raise FaultError(f"before new_player came {quote(message.text)}")


# The welcome


@check(
    "new_player is answered by a handshake first of all.",
    '["handshake", name, player id] is the first command',
    grade="measurement",
)
def handshake_first(server: ServerUnderTest) -> None:
    peer = server.connect()
    peer.send(["new_player", "conformance"])
    first = peer.next("an answer to new_player")
    if not first.commands or first.commands[0][0] != "handshake":
        raise FaultError(f"new_player was answered by {quote(first.text)}")


@check(
    "In one frame come handshake, world, top_scores and a p_joined for each living player.",
    "one frame: handshake, world, top_scores and a p_joined for each living player; then tick frames",
    grade="interoperability",
)
def welcome_frame(server: ServerUnderTest) -> None:
    peer = server.enter()
    if not peer.heard[-1].ticks:
        peer.next_tick()
    personal = [message for message in peer.heard if not message.ticks]
    if not personal:
        raise FaultError(f"the welcome came within a tick frame: {quote(peer.heard[0].text)}")
    names = [command[0] for command in personal[0].commands]
    if names[:3] != WELCOME or set(names[3:]) - {"p_joined"}:
        raise FaultError(f"the first message holds {', '.join(names)}: {quote(personal[0].text)}")
    if len(personal) > 1:
        raise FaultError(f"behind the welcome, before the first tick frame, came {quote(personal[1].text)}")


@check(
    "world is rows of [char, color]: the whole field, all rows equally long.",
    "rows of [char, color], all equally long",
    grade="interoperability",
)
def world(server: ServerUnderTest) -> None:
    worlds = [command for message in server.enter().heard for command in message.commands if command[0] == "world"]
    if not worlds:
        raise FaultError("the welcome has no world", "rows of [char, color]: the whole field")
    if wrong := flaw(worlds[0]):
        raise FaultError(f"{quote(worlds[0])}: {wrong}")


@check(
    "top_scores is a list of [name, score, color], best first; color is 1 + rank modulo 6.",
    "a list of [name, score, color], best first",
    grade="interoperability",
)
def top_scores(server: ServerUnderTest) -> str | None:
    """Look in the room of the URL: a new one has none."""
    heard = server.enter(server.target.room).heard
    lists = [command for message in heard for command in message.named("top_scores")]
    if not lists:
        raise FaultError("the welcome has no top_scores")
    rows = lists[0][1]
    scores = [score for _, score, _ in rows]
    if scores != sorted(scores, reverse=True):
        raise FaultError(quote(lists[0]), "best first")
    wrong = [row for rank, row in enumerate(rows) if row[2] != 1 + rank % 6]
    if wrong:
        raise FaultError(f"{quote(wrong[0])} in {quote(lists[0])}", "color is 1 + rank modulo 6")
    return f"{len(rows)} rows; ours lists {MOST_TOP_SCORES} at most" if len(rows) > MOST_TOP_SCORES else None


@check("Each in a room has a player id of its own.", "each has its own", grade="interoperability")
def player_ids(server: ServerUnderTest) -> None:
    room = server.fresh_room()
    ids = [server.enter(room, name).player_id for name in ("one", "two")]
    if ids[0] == ids[1]:
        raise FaultError(f"two in a room both have player id {ids[0]}")


# Names


@check(
    "Of a name control characters are taken out and white space is trimmed; 1 to 15 characters are left.",
    NAME_RIGHT,
    grade="interoperability",
)
def names(server: ServerUnderTest) -> None:
    flaws = []
    for asked, given in NAMES.items():
        peer = server.connect()
        peer.send(["new_player", asked])
        with about(f"the name {asked!r}"):
            answer = peer.until(lambda message: message.has("handshake") or message.is_error, "an answer")
        if answer.is_error or [shake[1] for shake in answer.named("handshake")] != [given]:
            flaws.append(f"the name {asked!r} was answered by {quote(answer.text)}")
    raise_flaws(flaws)


@check("A bad name is answered by an error, and another may follow.", f"{ERROR}: {NAME_RIGHT}", grade="hardening")
def bad_names(server: ServerUnderTest) -> None:
    flaws = []
    for name in BAD_NAMES:
        peer = server.connect()
        flaws.append(peer.error_flaw(json.dumps(["new_player", name]), f"the name {name!r}"))
        if not flaws[-1]:
            with about(f"another behind the name {name!r}"):
                read_welcome(peer, "another")
    raise_flaws(flaws)


@check("Without ?room= the room is main.", "main is the default", grade="interoperability")
def default_room(server: ServerUnderTest) -> None:
    if server.target.path != DEFAULT_PATH:
        raise NotTriedError(f"the URL has a path of its own, {server.target.path}")
    stranger, member = server.connect_to(DEFAULT_PATH), server.enter(DEFAULT_ROOM)
    read_welcome(stranger, "conformance")
    pair = to_common_tick(stranger, member)
    if pair is None or pair[0].due_us != pair[1].due_us:
        raise FaultError("without ?room= other ticks came than in main")
