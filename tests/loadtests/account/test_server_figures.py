"""Whatever two answers say, no figure is below zero, and what is not believed is left out and named."""

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.account.server_figures import Between, Frames, figures_between
from loadtests.surroundings.server_stats import NotOursError, ServerStats, decode_stats
from shared.measure.summary import ServerFigures
from tests.loadtests.surroundings.test_server_stats import decoded, histogram, stats

Change = dict[str, Any]
WEIGHED = {"rss_per_connection_bytes", "memory"}
"""Not from two answers: :mod:`loadtests.run.memory_steps` asks for more of them."""


def ticks(**changes: Any) -> Change:
    return {"ticks": stats()["ticks"] | changes}


def process(**changes: Any) -> Change:
    return {"process": stats()["process"] | changes}


@pytest.mark.parametrize(
    ("before", "after", "lost", "words"),
    [
        (process(cpu_s=3.0), process(cpu_s=2.0), {"cpu_percent", "cpu_us_per_frame"}, "process.cpu_s went back from 3"),
        ({}, process(cpu_s=99.0), {"cpu_percent", "cpu_us_per_frame"}, "went up by 98 in 5.0 s on 1 cores"),
        ({"slow_skips": 4}, {"slow_skips": 3}, {"slow_skips"}, "slow_skips went back from 4 to 3"),
        ({"frames_sent": 9}, {"frames_sent": 8}, {"frames_sent"}, "frames_sent went back"),
        ({"slow_closed": 4}, {"slow_closed": 3}, {"slow_closed"}, "slow_closed went back"),
        (ticks(skipped_ticks=9), ticks(skipped_ticks=8), {"skipped_ticks", "ticks"}, "ticks.skipped_ticks went back"),
        (ticks(overruns=9), ticks(overruns=8), {"ticks"}, "ticks.overruns went back"),
        (ticks(compute_ms=histogram(50, 60)), {}, {"ticks"}, "ticks: a histogram's counters went down"),
        ({}, ticks(compute_ms=histogram(50, 60) | {"mean": 0.01}), {"ticks"}, "did not go up together"),
        ({}, ticks(compute_ms=histogram(50, 60) | {"mean": -9.0}), {"ticks"}, "says mean -9 ms"),
        ({}, ticks(compute_ms=histogram(50, 60) | {"early": 3}), {"ticks"}, "says early 3"),
        ({}, ticks(compute_ms=histogram(50, 60) | {"count": 3}), {"ticks"}, "says count 3 and holds 2"),
        ({}, ticks(fanout_ms=histogram(1) | {"hdr": "eJwDAAAAAAE="}), {"ticks"}, "not an HDR histogram"),
        ({}, {"now_us": 900_000}, {"cpu_percent", "cpu_us_per_frame"}, "now_us went on by -0.100 s in 5.000 s of ours"),
        ({}, {"now_us": 60_000_000}, {"cpu_percent", "cpu_us_per_frame"}, "now_us went on by 59.000 s in 5.000 s"),
        ({}, process(pid=2), set(ServerFigures.__struct_fields__) - WEIGHED, "another process"),
    ],
)
def test_what_is_not_believed_is_left_out_and_named(before: Change, after: Change, lost: set[str], words: str) -> None:
    first = decoded(**before)
    last = msgspec.structs.replace(decoded(**({"now_us": 6_000_000} | after)), asked_s=6.0, answered_s=6.0)
    figures, doubts = figures_between(first, last, Frames(10))
    assert any(words in doubt for doubt in doubts), doubts
    found = {name for name in ServerFigures.__struct_fields__ if getattr(figures, name) is not None}
    assert found == set(ServerFigures.__struct_fields__) - lost - WEIGHED - {"others"}


def test_an_answer_that_took_its_time_is_of_some_moment_in_it() -> None:
    before = msgspec.structs.replace(decoded(), asked_s=1.0, answered_s=4.0)
    after = msgspec.structs.replace(decoded(now_us=3_000_000), asked_s=5.0, answered_s=9.0)
    for now_us, is_believed in ((1_500_000, False), (2_000_000, True), (9_000_000, True), (9_500_000, False)):
        between = Between(before, msgspec.structs.replace(after, now_us=now_us))
        assert (between.doubts == []) is is_believed
        assert (between.elapsed_s is not None) is is_believed


def test_cpu_a_frame_is_over_all_frames_that_it_sent() -> None:
    first = decoded(**process(cpu_s=1.0), frames_sent=1_000)
    last = decoded(now_us=6_000_000, **process(cpu_s=1.5), frames_sent=11_000)
    silent = [msgspec.structs.replace(each, frames_sent=None) for each in (first, last)]

    def us_per_frame(answers: list[ServerStats], frames: Frames) -> float | None:
        before, after = answers
        return figures_between(before, after, frames)[0].cpu_us_per_frame

    assert us_per_frame([first, last], Frames(500)) == pytest.approx(50)
    assert us_per_frame([first, last], Frames(500, are_all=False)) == pytest.approx(50)
    assert us_per_frame([first, last], Frames(500, are_ticks=False)) == pytest.approx(200)
    assert us_per_frame(silent, Frames(500)) == pytest.approx(200)
    assert us_per_frame(silent, Frames(500, are_all=False)) is None, "it is not known how many it sent to others"


def test_a_server_that_says_it_sent_less_than_came_is_not_believed() -> None:
    first = decoded(**process(cpu_s=1.0), frames_sent=10)
    last = decoded(now_us=6_000_000, **process(cpu_s=1.5), frames_sent=11)
    figures, doubts = figures_between(first, last, Frames(500, at_least=2500))
    assert doubts == ["frames_sent went up by 1 while 2,500 came"]
    assert figures.frames_sent is None
    assert figures.cpu_us_per_frame == pytest.approx(200), "over those that came"
    assert figures_between(first, last, Frames(500, are_all=False, at_least=2500))[0].cpu_us_per_frame is None


def test_skipped_ticks_are_those_of_the_rooms_of_the_run() -> None:
    def answer(now_us: int, mine: int, theirs: int) -> ServerStats:
        rooms = [{"name": "r0", "n": 10 * now_us, "skipped_ticks": mine}]
        rooms += [{"name": "theirs", "n": 10 * now_us, "skipped_ticks": theirs}]
        return decoded(now_us=now_us, rooms=rooms, **ticks(skipped_ticks=mine + theirs))

    first, last = answer(1_000_000, 3, 40), answer(6_000_000, 5, 90)
    for rooms, skipped in (({"r0"}, 2), ({"r0", "theirs"}, 52), ({"r0", "r1"}, 52), (None, 52)):
        assert figures_between(first, last, Frames(1), rooms)[0].skipped_ticks == skipped


def test_no_more_due_times_were_skipped_than_there_were() -> None:
    before = decoded(rooms=[{"name": "main", "n": 100, "skipped_ticks": 0}])
    after = decoded(rooms=[{"name": "main", "n": 120, "skipped_ticks": 1000}])
    between = Between(before, after)
    assert between.skipped_ticks({"main"}) is None
    assert between.skips() == {}
    assert between.doubts[0] == "skipped_ticks of room main went up by 1000, its n by 20"


def test_skips_are_those_of_rooms_that_went_on() -> None:
    def rooms(*of: tuple[str, int, int]) -> Change:
        return {"rooms": [{"name": name, "n": n, "skipped_ticks": skipped} for name, n, skipped in of]}

    before = decoded(**rooms(("a", 10, 1), ("b", 10, 1), ("c", 10, 5), ("d", 5, 0)))
    after = decoded(now_us=2_000_000, **rooms(("a", 30, 4), ("b", 3, 2), ("c", 30, 4), ("e", 1, 0)))
    assert Between(before, after).skips() == {"a": (10, 30, 3)}
    assert Between(before, msgspec.structs.replace(after, process=decoded(**process(pid=9)).process)).skips() == {}


# Whatever it says


def _histograms() -> st.SearchStrategy[Any]:
    def made(values: list[int], lies: dict[str, Any]) -> Any:
        return histogram(*values) | lies

    lies = {
        "count": _numbers(),
        "early": _numbers(),
        "clipped": _numbers(),
        "mean": st.none() | _numbers(),
        "max": st.none() | _numbers(),
        "hdr": st.text(max_size=40),
    }
    return st.builds(made, st.lists(st.integers(-5, 70_000_000), max_size=4), _mostly({}, lies))


def _numbers() -> st.SearchStrategy[Any]:
    """Return what may stand for a number: one that follows from another, an extreme one, or none."""
    small = st.integers(0, 20)
    return small | small | st.integers() | st.floats() | st.sampled_from([-1, 2**53, 2**53 + 1, 10**30, "7", None])


def _mostly(truth: dict[str, Any], lies: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.just(truth) | st.fixed_dictionaries({}, optional=lies).map(lambda lie: truth | lie)


def _pages() -> st.SearchStrategy[dict[str, Any]]:
    counts = dict.fromkeys(("count", "skipped_ticks", "overruns"), _numbers())
    histograms = dict.fromkeys(("start_lateness_ms", "compute_ms", "fanout_ms"), _histograms())
    room = _mostly({"name": "main"}, {"n": _numbers(), "skipped_ticks": _numbers()})
    held_back = dict.fromkeys(("throttled_periods", "throttled_us"), _numbers())
    quota = _mostly({"group": "/a", "cores": 0.5}, {"cores": st.none() | _numbers(), **held_back})
    figures = {
        "pid": st.integers(1, 2),
        "cpu_s": _numbers(),
        "rss_bytes": _numbers(),
        "cpus": st.none() | st.lists(_numbers(), max_size=3),
        "children": st.lists(_numbers(), max_size=3),
        "quotas": st.lists(quota, max_size=3),
    }
    return _mostly(
        stats(),
        {
            "now_us": _numbers() | st.integers(0, 20_000_000),
            "tick_rate_hz": _numbers(),
            "clock_offset_us": _numbers(),
            "connections": _numbers(),
            "ticks": st.fixed_dictionaries(counts | histograms) | _mostly(stats()["ticks"], counts | histograms),
            "process": _mostly(stats()["process"], figures),
            "rooms": st.lists(room, max_size=3),
            "slow_skips": _numbers(),
            "slow_closed": _numbers(),
            "accepted": _numbers(),
            "frames_sent": _numbers(),
        },
    )


def _answers() -> st.SearchStrategy[ServerStats | None]:
    """Return what is made of arbitrary pages, None where it is named and goes no further."""

    def answered(page: dict[str, Any], asked_s: float, took_s: float) -> ServerStats | None:
        try:
            found = decode_stats(json.dumps(page).encode())
        except NotOursError as error:
            assert str(error)  # noqa: PT017 - it is the one that may be raised
            return None
        return msgspec.structs.replace(found, asked_s=asked_s, answered_s=asked_s + took_s)

    return st.builds(answered, _pages(), st.floats(0, 20), st.floats(0, 10))


def _all_numbers(of: Any) -> list[float]:
    if isinstance(of, dict):
        return [number for each in of.values() for number in _all_numbers(each)]
    return [of] if isinstance(of, int | float) else []


@settings(max_examples=400, deadline=None)
@given(
    _answers(),
    _answers(),
    st.builds(Frames, st.floats(0, 1e6), are_all=st.booleans(), are_ticks=st.booleans(), at_least=st.integers(0, 20)),
    st.none() | st.just({"main"}),
)
def test_whatever_it_says_no_figure_is_below_zero(
    before: ServerStats | None,
    after: ServerStats | None,
    frames: Frames,
    rooms: set[str] | None,
) -> None:
    if before is None or after is None:
        return
    figures, doubts = figures_between(before, after, frames, rooms)
    assert all(math.isfinite(number) and number >= 0 for number in _all_numbers(msgspec.to_builtins(figures)))
    assert all(doubts)
    read_back = msgspec.json.decode(msgspec.json.encode(figures), type=ServerFigures)
    assert read_back == figures
    throttled = Between(before, after).throttled()
    assert all(min(of.throttled_periods, of.throttled_us, of.cores or 0) >= 0 for of in throttled)
    skips = Between(before, after).skips()
    assert all(0 <= first_n <= end_n and number >= 0 for first_n, end_n, number in skips.values())
