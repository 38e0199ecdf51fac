"""Scores that Redis or memcached keep: with the real ones, and with one that fails as a test has it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from shared.rooms.scores import ScoreRows
from shared.server.score_remote import AT_ONCE, MAX_WAITING, RETRY_US, Batch, DamagedError, RemoteScores
from shared.server.score_stores import open_scores
from shared.server.score_url import parse_score_place
from tests.support.score_updates import check_updates
from tests.support.stores import RunningStore, run_store

KINDS = ("redis", "memcached")
KEYS = {"redis": "tickbench:scores:{main}", "memcached": "main"}


@pytest.fixture(scope="module", params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStore]:
    with run_store(request.param, tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture
def two(store: RunningStore) -> Iterator[tuple[RemoteScores, RemoteScores]]:
    """Two servers' scores in one place, each asked whether it is there."""
    with ExitStack() as stack:
        both = [open_remote(store.url, stack) for _ in range(2)]
        yield both[0], both[1]


def open_remote(url: str, stack: ExitStack) -> RemoteScores:
    scores = open_scores(parse_score_place(url), max_rooms=5)
    assert isinstance(scores, RemoteScores)
    stack.callback(scores.close)
    return scores


def write(scores: RemoteScores, at_us: int = 0) -> None:
    """Do what a server does, until nothing is left to do at that time."""
    while scores.look(at_us):
        scores.write_back()


def read(scores: RemoteScores, room: str) -> ScoreRows:
    """Return what a room would be opened with."""
    scores.fetch(room)
    return scores.load(room)


def test_what_one_server_wrote_the_other_reads_by_room(two: tuple[RemoteScores, RemoteScores], room: str) -> None:
    rows = [("ann", 2**53), ("bob", 9), ("Änn \U0001f40d", 9), ("a b\x7f", 1)]
    two[0].save(room, rows)
    assert read(two[1], room) == [], "it is in memory alone"
    write(two[0])
    assert read(two[1], room) == [*rows[:3], ("a b", 1)]
    assert read(two[1], f"{room}-2") == []


def test_who_writes_beside_another_adds_to_the_list(two: tuple[RemoteScores, RemoteScores], room: str) -> None:
    two[0].save(room, [("ann", 9), ("bob", 5)])
    two[1].save(room, [("eve", 9), ("bob", 7), ("ann", 3)])
    for scores in two:
        write(scores)
    assert [read(scores, room) for scores in two] == [[("ann", 9), ("eve", 9), ("bob", 7)]] * 2


def test_of_equal_scores_the_older_one_stays_when_the_list_is_full(
    two: tuple[RemoteScores, RemoteScores], room: str
) -> None:
    first = [(f"z{number:02}", 5) for number in range(15)]
    two[0].save(room, first)
    write(two[0])
    two[1].save(room, [("ann", 6), ("bob", 5)])
    write(two[1])
    assert read(two[0], room) == [("ann", 6), *first[:14]]
    two[0].save(room, [("z03", 7), ("bob", 5)])
    write(two[0])
    assert read(two[1], room) == [("z03", 7), ("ann", 6), *(row for row in first[:14] if row[0] != "z03")]


def test_what_is_not_written_yet_is_there_when_the_room_is_opened_again(
    two: tuple[RemoteScores, RemoteScores], room: str
) -> None:
    two[0].save(room, [("ann", 9)])
    write(two[0])
    two[1].save(room, [("bob", 5)])
    assert read(two[1], room) == [("ann", 9), ("bob", 5)]


def test_a_store_that_was_started_anew_costs_no_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, store: RunningStore
) -> None:
    with run_store(store.kind, tmp_path) as own, ExitStack() as stack:
        scores = open_remote(own.url, stack)
        scores.save("main", [("ann", 9)])
        write(scores)
        own.kill()
        own.start()
        scores.save("main", [("ann", 9), ("bob", 5)])
        write(scores)
        assert read(scores, "main") == [("ann", 9), ("bob", 5)]
    assert not caplog.records


def test_what_another_program_has_put_there_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, store: RunningStore
) -> None:
    with run_store(store.kind, tmp_path) as own, ExitStack() as stack:
        scores = open_remote(own.url, stack)
        client = scores._keeper._client  # type: ignore[attr-defined] # each has one
        client.set(KEYS[store.kind], "a song")
        assert read(scores, "main") == []
        write(scores)
        assert f"room main begins without scores: they can't be read from {parse_score_place(own.url)}" in caplog.text


def test_none_of_ten_thousand_updates_is_lost_though_a_writer_is_killed(store: RunningStore) -> None:
    check_updates(store.url)


# A keeper that fails as a test has it


class Keeper:
    place = "redis://planted"

    def __init__(self) -> None:
        self.kept: dict[str, ScoreRows] = {}
        self.asked = 0
        self.error: Exception | None = None
        self.refuses = ""

    def read(self, room: str) -> ScoreRows:
        self._ask()
        if room == "damaged":
            raise DamagedError("it is a song")
        return list(self.kept.get(room, ()))

    def merge(self, batch: Batch) -> list[str]:
        self._ask()
        assert len(batch) <= AT_ONCE
        self.kept |= {room: rows for room, rows in batch if room != self.refuses}
        return ["it refuses this one" if room == self.refuses else "" for room, _ in batch]

    def close(self) -> None:
        pass

    def _ask(self) -> None:
        self.asked += 1
        if self.error:
            raise self.error


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


def test_it_is_asked_once_at_the_start_and_then_only_when_there_is_something(keeper: Keeper) -> None:
    scores = RemoteScores(keeper, 5)
    for second in range(5):
        write(scores, second * RETRY_US)
    assert keeper.asked == 1


def test_while_it_is_down_it_is_said_in_one_line_and_asked_once_a_second(
    keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    keeper.error = OSError("no route\nto it")
    scores = RemoteScores(keeper, 5)
    for tenth in range(30):
        scores.save("main", [("ann", tenth + 1)])
        write(scores, tenth * RETRY_US // 10)
        scores.fetch("other")
        assert scores.load("other") == []
    assert keeper.asked == 3, "who opens a room waits for nothing that is known to fail"
    assert [record.getMessage() for record in caplog.records] == [
        "no score is kept in redis://planted (no route to it), but in memory until one can be"
    ]
    assert scores.load("main") == [("ann", 30)]
    keeper.error = None
    write(scores, 4 * RETRY_US)
    assert keeper.kept == {"main": [("ann", 30)]}
    keeper.kept["other"] = [("eve", 1)]
    assert read(scores, "other") == [("eve", 1)]


def test_rooms_that_began_while_it_was_down_are_told_what_was_kept(keeper: Keeper) -> None:
    keeper.error = OSError("down")
    keeper.kept = {"main": [("eve", 9)], "damaged": []}
    scores = RemoteScores(keeper, 5)
    write(scores)
    for room in ("main", "damaged"):
        assert read(scores, room) == []
    scores.save("other", [("ann", 1)])
    write(scores, RETRY_US)
    assert scores.take_recalled() == []
    keeper.error = None
    write(scores, 2 * RETRY_US)
    assert scores.take_recalled() == [("main", [("eve", 9)]), ("damaged", [])]
    asked = keeper.asked
    write(scores, 3 * RETRY_US)
    assert (scores.take_recalled(), keeper.asked) == ([], asked), "once"
    assert read(scores, "main") == [("eve", 9)]
    write(scores, 4 * RETRY_US)
    assert scores.take_recalled() == [], "what was read when it was opened is not read again"


def test_what_waits_is_bounded_and_the_newest_stay(keeper: Keeper) -> None:
    keeper.error = OSError("down")
    scores = RemoteScores(keeper, 5)
    for number in range(MAX_WAITING + 3):
        scores.save(f"room {number}", [("ann", 1)])
    write(scores)
    keeper.error = None
    write(scores, RETRY_US)
    assert list(keeper.kept) == [f"room {number}" for number in range(3, MAX_WAITING + 3)]


def test_what_is_saved_while_it_is_written_is_written_after_that(keeper: Keeper) -> None:
    scores = RemoteScores(keeper, 5)
    scores.save("main", [("ann", 1)])
    assert scores.look(0)
    scores.write_back()
    scores.save("main", [("ann", 2)])
    write(scores)
    assert keeper.kept == {"main": [("ann", 2)]}


def test_a_room_that_is_refused_keeps_no_other_waiting(keeper: Keeper, caplog: pytest.LogCaptureFixture) -> None:
    scores = RemoteScores(keeper, 5)
    keeper.refuses = "bad"
    for room in ("bad", "good"):
        scores.save(room, [("ann", 1)])
    write(scores)
    assert keeper.kept == {"good": [("ann", 1)]}
    assert "it refuses this one" in caplog.text
    keeper.refuses = ""
    write(scores, RETRY_US)
    assert "bad" in keeper.kept


def test_a_room_whose_rows_are_none_of_ours_begins_without(keeper: Keeper, caplog: pytest.LogCaptureFixture) -> None:
    scores = RemoteScores(keeper, 5)
    assert read(scores, "damaged") == []
    write(scores)
    assert [record.getMessage() for record in caplog.records] == [
        "room damaged begins without scores: they can't be read from redis://planted (it is a song)"
    ]
    keeper.kept["other"] = [("eve", 1)]
    assert read(scores, "other") == [("eve", 1)], "others are read as before"


def test_the_last_try_is_for_all_that_waits(keeper: Keeper) -> None:
    scores = RemoteScores(keeper, 5)
    scores.save("main", [("ann", 1)])
    scores.close()
    assert keeper.kept == {"main": [("ann", 1)]}
