from collections.abc import Callable, Sequence

import msgspec
import pytest

from shared.measure.summary import StepDigests
from tickbench.compare.runs import Run, RunIndex
from tickbench.compare.suite import Suite
from tickbench.verdict.same_work import compare_work, differing, steps_of

MakeRun = Callable[..., Run]
STEPS = [f"{number * 2654435761 % 2**32:08x}" for number in range(1, 101)]


def telling(make_run: MakeRun, number: int, arm: str, steps: Sequence[str] | None, conflicting: int = 0) -> Run:
    load = make_run(number, arm).load
    assert load is not None
    digests = None if steps is None else StepDigests(first_n=1, crc32=" ".join(steps), conflicting=conflicting)
    return make_run(number, arm, load=msgspec.structs.replace(load, steps=digests, ticks_came=1.0))


@pytest.fixture
def same_suite(suite: Suite) -> Suite:
    return msgspec.structs.replace(suite, arms=["asyncio", "gevent"])


def test_arms_that_do_the_same_say_the_same(same_suite: Suite, make_run: MakeRun) -> None:
    runs = [telling(make_run, 1, "asyncio", STEPS), telling(make_run, 2, "gevent", STEPS[:80])]
    found = compare_work(RunIndex(same_suite, runs))
    assert (found.steps, found.different, found.unknown) == (80, {}, [])
    assert found.words == "All arms sent the same commands, step by step, in 80 compared steps."


def test_an_arm_that_does_something_else_is_named(same_suite: Suite, make_run: MakeRun) -> None:
    wrong = [*STEPS[:50], "00000000", *STEPS[51:]]
    found = compare_work(
        RunIndex(same_suite, [telling(make_run, 1, "asyncio", STEPS), telling(make_run, 2, "gevent", wrong)])
    )
    assert list(found.different) == ["gevent"]
    assert "1 of 100 steps say something else than those of asyncio" in found.words


@pytest.mark.parametrize("skipped", [0, 1, 5])
@pytest.mark.parametrize("missed", [0, 1, 5])
def test_due_times_that_were_skipped_are_no_steps(skipped: int, missed: int) -> None:
    other = StepDigests(first_n=1 + skipped, crc32=" ".join([*STEPS[missed:40], *["-"] * 7, *STEPS[40:]]))
    assert differing(STEPS, steps_of(other)) == (100 - missed, 0)
    assert differing(steps_of(other), STEPS) == (100 - missed, 0)


def test_a_step_that_was_left_out_is_seen() -> None:
    compared, wrong = differing(STEPS, [*STEPS[:50], *STEPS[51:]])
    assert compared >= 98
    assert wrong >= 48


def test_a_step_that_came_to_nobody_makes_no_difference_but_what_was_said_does() -> None:
    gone = {3, 4, 50, 97}
    other = ["-" if place in gone else word for place, word in enumerate(STEPS)]
    assert differing(STEPS, other) == (96, 0)
    skipped = [*other[:60], *["-"] * 5, *other[60:]]
    assert differing(STEPS, skipped) == (96, 0)
    assert differing(STEPS, [*other[:70], "00000000", *other[71:]]) == (96, 1)
    assert differing(STEPS, [*STEPS[:50], "-", *STEPS[52:]])[1] > 40, "two steps are not in one gap"
    assert differing(["00000000"] * 100, ["00000000", "-", *["00000000"] * 60]) == (61, 0)


def test_where_ticks_came_to_nobody_a_due_time_may_have_been_a_step(same_suite: Suite, make_run: MakeRun) -> None:
    lost = telling(make_run, 2, "gevent", [*STEPS[:40], "-", *STEPS[41:]])
    assert lost.load is not None
    runs = [telling(make_run, 1, "asyncio", STEPS), lost]
    assert list(compare_work(RunIndex(same_suite, runs)).different) == ["gevent"], "all ticks came: it was no step"
    load = msgspec.structs.replace(lost.load, ticks_came=0.99)
    runs[1] = msgspec.structs.replace(lost, load=load)
    assert compare_work(RunIndex(same_suite, runs)).different == {}


def test_two_connections_that_got_something_else_are_a_difference(same_suite: Suite, make_run: MakeRun) -> None:
    runs = [telling(make_run, 1, "asyncio", STEPS), telling(make_run, 2, "gevent", STEPS, conflicting=3)]
    assert list(compare_work(RunIndex(same_suite, runs)).different) == ["gevent"]


def test_what_is_not_known_is_said(same_suite: Suite, make_run: MakeRun) -> None:
    runs = [telling(make_run, 1, "asyncio", STEPS), telling(make_run, 2, "gevent", None)]
    assert compare_work(RunIndex(same_suite, runs)).words == "Whether all arms did the same work was not compared."
    assert compare_work(RunIndex(same_suite, runs)).unknown == ["gevent"]
    second = telling(make_run, 3, "asyncio", STEPS)
    more = [*runs, msgspec.structs.replace(second, block=2)]
    assert "(not known of gevent)" in compare_work(RunIndex(same_suite, more)).words


@pytest.mark.parametrize("order", [("mine", "asyncio", "gevent"), ("gevent", "mine", "asyncio")])
def test_one_that_does_something_else_does_not_make_the_others_differ(
    same_suite: Suite, make_run: MakeRun, order: tuple[str, ...]
) -> None:
    suite = msgspec.structs.replace(
        same_suite, arms=["asyncio", "gevent", "mine"], commands={"mine": "x {port}"}, compare=["asyncio", "gevent"]
    )
    steps = {"asyncio": STEPS, "gevent": STEPS, "mine": STEPS[::-1]}
    runs = [telling(make_run, number, arm, steps[arm]) for number, arm in enumerate(order, start=1)]
    assert list(compare_work(RunIndex(suite, runs)).different) == ["mine"]


def test_where_people_play_the_work_is_theirs(same_suite: Suite, make_run: MakeRun) -> None:
    runs = [telling(make_run, 1, "asyncio", STEPS), telling(make_run, 2, "gevent", STEPS[::-1])]
    found = compare_work(RunIndex(msgspec.structs.replace(same_suite, scenario="players"), runs))
    assert found.steps == 0
    assert found.words.endswith("was not compared; those who came played, each by chance.")


@pytest.mark.parametrize(("server", "padding"), [({}, ""), ({"bots": 0, "pad": 4000}, ", 4,000 bytes of padding")])
def test_without_bots_it_is_said_that_frames_were_all_that_was_compared(
    same_suite: Suite, make_run: MakeRun, server: dict[str, str | int | float], padding: str
) -> None:
    runs = [telling(make_run, 1, "asyncio", STEPS[:1] * 80), telling(make_run, 2, "gevent", STEPS[:1] * 80)]
    found = compare_work(RunIndex(msgspec.structs.replace(same_suite, server=server), runs))
    assert found.different == {}
    assert found.words == (
        "All arms sent the same commands, step by step, in 80 compared steps; "
        f"nobody played and there were no bots: a frame was its tick{padding} and nothing else."
    )


def test_who_cannot_replay_the_bots_is_told_what_to_do(same_suite: Suite, make_run: MakeRun) -> None:
    suite = msgspec.structs.replace(same_suite, arms=["asyncio", "gevent", "mine"], commands={"mine": "x {port}"})
    runs = [telling(make_run, 1, "asyncio", STEPS), telling(make_run, 2, "mine", STEPS[::-1])]
    assert compare_work(RunIndex(suite, runs)).words.endswith("compared without them, with bots = 0 and a pad.")
    runs = [telling(make_run, 1, "asyncio", STEPS), telling(make_run, 2, "gevent", STEPS[::-1])]
    assert "without them" not in compare_work(RunIndex(suite, runs)).words
