"""Checks of how a client enters: the upgrade, what comes before ``new_player``, the welcome, names."""

import time

from shared.wire.handshake import DEFAULT_ROOM
from shared.wire.target import DEFAULT_PATH
from tickbench.conformance.check import Check, raise_flaws
from tickbench.conformance.peer import ClosedError, EndedError, Message, Peer, SilenceError, to_common_tick
from tickbench.conformance.server_under_test import ServerUnderTest, read_welcome
from tickbench.conformance.shapes import flaw
from tickbench.conformance.verdict import FaultError, NotTriedError, quote

TOO_EARLY = ("37", '["join"]', '["ping",1]', '["leave"]')
WELCOME = ["handshake", "world", "top_scores"]
LISTEN_TICKS = 5
NEW_PLAYER_LIMIT_S = 10.0
NEW_PLAYER_SLACK_S = 3.0
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


# The upgrade


def check_upgrade(subject: ServerUnderTest) -> str | None:
    """Upgrade, and look at the answer; the library has checked the accept key."""
    headers = {str(name).lower(): str(value) for name, value in (subject.connect().ws.getheaders() or {}).items()}
    unasked = [name for name in ("sec-websocket-extensions", "sec-websocket-protocol") if name in headers]
    raise_flaws((f"{name}: {headers[name]}, which was not asked for" for name in unasked), "neither")
    return None


# Before new_player


def check_new_player_first(subject: ServerUnderTest) -> str | None:
    """Send something else before ``new_player``."""
    flaws = []
    for pair in (TOO_EARLY[:2], TOO_EARLY[2:]):  # the third on one connection would close it
        peer = subject.connect()
        flaws += [_flaw_of_answer(peer, text) for text in pair]
    raise_flaws(flaws, '[["error", why]]')
    return None


def _flaw_of_answer(peer: Peer, text: str) -> str | None:
    peer.send_text(text)
    try:
        answer = peer.next(what="an answer")
    except (SilenceError, ClosedError, EndedError) as error:
        return f"{text} before new_player: {error}"
    return None if answer.is_error else f"{text} before new_player was answered by {quote(answer.text)}"


def check_nothing_before(subject: ServerUnderTest) -> str | None:
    """Listen to a room in which somebody is, without sending anything."""
    room = subject.fresh_room()
    member, stranger = subject.enter(room), subject.connect(room)
    member.next_tick()
    came = next(
        (message for message in stranger.messages(LISTEN_TICKS * subject.period_s) if not message.is_error), None
    )
    if came:
        raise FaultError(f"before new_player came {quote(came.text)}", "nothing but errors")
    return None


def check_new_player_limit(subject: ServerUnderTest) -> str | None:
    """Never send ``new_player``; in a whole run the connection was opened at its start."""
    peer, since = open_silent(subject)
    limit_s = NEW_PLAYER_LIMIT_S + NEW_PLAYER_SLACK_S
    peer.patience_s = max(0.01, since + limit_s - time.monotonic())
    right = "close 1008 after 10 s"
    closed = peer.expect_close(right, f"no new_player for {limit_s:g} s")
    if closed.code != 1008:
        raise FaultError(f"no new_player: {closed}", right)
    return None


def open_silent(subject: ServerUnderTest) -> tuple[Peer, float]:
    """Return a silent connection and when it was opened, on the monotonic clock; one that is open already is reused."""
    if "silent" not in subject.samples:
        peer, since = subject.connect(), time.monotonic()
        subject.samples["silent"] = (peer, since)
        subject.keep("silent", peer)
    opened: tuple[Peer, float] = subject.samples["silent"]
    return opened


# The welcome


def check_handshake_first(subject: ServerUnderTest) -> str | None:
    """Look at the first command that comes."""
    peer = subject.connect()
    peer.send(["new_player", "conformance"])
    first = peer.next(what="an answer to new_player")
    right = '["handshake", name, player id] is the first command'
    if not first.commands or first.commands[0][0] != "handshake":
        raise FaultError(f"new_player was answered by {quote(first.text)}", right)
    return None


def check_welcome_frame(subject: ServerUnderTest) -> str | None:
    """Look at all that comes up to the first tick frame."""
    peer = subject.enter()
    came = [*peer.welcome]
    if not came[-1].tick:
        came += _up_to_tick(peer)
    personal = [message for message in came if not message.tick]
    right = "one frame: handshake, world, top_scores and a p_joined for each living player; then tick frames"
    if not personal:
        raise FaultError(f"the welcome came within a tick frame: {quote(came[0].text)}", right)
    names = [command[0] for command in personal[0].commands]
    if names[:3] != WELCOME or set(names[3:]) - {"p_joined"}:
        raise FaultError(f"the first message holds {', '.join(names)}: {quote(personal[0].text)}", right)
    if len(personal) > 1:
        raise FaultError(f"behind the welcome, before the first tick frame, came {quote(personal[1].text)}", right)
    return None


def _up_to_tick(peer: Peer) -> list[Message]:
    came = []
    while True:
        came.append(peer.next(what="a tick frame"))
        if came[-1].tick:
            return came


def check_world(subject: ServerUnderTest) -> str | None:
    """Look at the field that a newcomer gets."""
    peer = subject.enter()
    worlds = [command for message in peer.welcome for command in message.commands if command[0] == "world"]
    if not worlds:
        raise FaultError("the welcome has no world", "rows of [char, color]: the whole field")
    if wrong := flaw(worlds[0]):
        raise FaultError(f"{quote(worlds[0])}: {wrong}", "rows of [char, color], all equally long")
    return None


def check_top_scores(subject: ServerUnderTest) -> str | None:
    """Look at the top scores that a newcomer gets, in the room of the URL: a new one has none."""
    peer = subject.enter(subject.target.room)
    lists = [command for message in peer.welcome for command in message.named("top_scores")]
    if not lists:
        raise FaultError("the welcome has no top_scores", "a list of [name, score, color], best first")
    rows = lists[0][1]
    scores = [score for _, score, _ in rows]
    if scores != sorted(scores, reverse=True):
        raise FaultError(quote(lists[0]), "best first")
    wrong = [row for rank, row in enumerate(rows) if row[2] != 1 + rank % 6]
    if wrong:
        raise FaultError(f"{quote(wrong[0])} in {quote(lists[0])}", "color is 1 + rank modulo 6")
    return f"{len(rows)} rows; ours lists {MOST_TOP_SCORES} at most" if len(rows) > MOST_TOP_SCORES else None


def check_player_ids(subject: ServerUnderTest) -> str | None:
    """Look at the ids of two players in a room."""
    room = subject.fresh_room()
    ids = [subject.enter(room, name).player_id for name in ("one", "two")]
    if ids[0] == ids[1]:
        raise FaultError(f"two in a room both have player id {ids[0]}", "each has its own")
    return None


# Names


def check_names(subject: ServerUnderTest) -> str | None:
    """Send names that have to be cleaned."""
    flaws = []
    for asked, given in NAMES.items():
        peer = subject.connect()
        peer.send(["new_player", asked])
        answer = peer.until(lambda message: message.has("handshake") or message.is_error, "an answer to new_player")
        if answer.is_error or [shake[1] for shake in answer.named("handshake")] != [given]:
            flaws.append(f"the name {asked!r} was answered by {quote(answer.text)}")
    raise_flaws(flaws, NAME_RIGHT)
    return None


def check_bad_names(subject: ServerUnderTest) -> str | None:
    """Send names that are empty or too long when cleaned; another try may follow."""
    flaws = []
    for name in BAD_NAMES:
        peer = subject.connect()
        peer.send(["new_player", name])
        answer = peer.next(what=f"an answer to the name {name!r}")
        if not answer.is_error:
            flaws.append(f"the name {name!r} was answered by {quote(answer.text)}")
            continue
        read_welcome(peer, "another")
    raise_flaws(flaws, f'[["error", why]]: {NAME_RIGHT}')
    return None


def check_default_room(subject: ServerUnderTest) -> str | None:
    """Enter without naming a room, and enter the room ``main``: it is the same one."""
    if subject.target.path != DEFAULT_PATH:
        raise NotTriedError(f"the URL has a path of its own, {subject.target.path}")
    stranger, member = subject.connect_to(DEFAULT_PATH), subject.enter(DEFAULT_ROOM)
    read_welcome(stranger, "conformance")
    pair = to_common_tick(stranger, member)
    if pair is None or pair[0].due_us != pair[1].due_us:
        raise FaultError("without ?room= other ticks came than in main", "main is the default")
    return None


CHECKS = (
    Check("upgrade", "One WebSocket at GET /connect, upgraded as RFC 6455 has it.", check_upgrade),
    Check("new-player-first", "Anything before new_player is answered by an error.", check_new_player_first),
    Check(
        "nothing-before", "Before its accepted new_player a connection gets nothing but errors.", check_nothing_before
    ),
    Check("handshake-first", "new_player is answered by a handshake first of all.", check_handshake_first),
    Check(
        "welcome-frame",
        "In one frame come handshake, world, top_scores and a p_joined for each living player.",
        check_welcome_frame,
    ),
    Check("world", "world is rows of [char, color]: the whole field, all rows equally long.", check_world),
    Check(
        "top-scores",
        "top_scores is a list of [name, score, color], best first; color is 1 + rank modulo 6.",
        check_top_scores,
    ),
    Check("player-ids", "Each in a room has a player id of its own.", check_player_ids),
    Check(
        "names",
        "Of a name control characters are taken out and white space is trimmed; 1 to 15 characters are left.",
        check_names,
    ),
    Check("bad-names", "A bad name is answered by an error, and another may follow.", check_bad_names),
    Check("default-room", "Without ?room= the room is main.", check_default_room),
)
LATE_CHECKS = (Check("new-player-limit", "No accepted new_player for 10 s: close 1008.", check_new_player_limit),)
