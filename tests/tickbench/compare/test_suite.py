import re
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.server.config import parse_arguments
from tickbench.children.commands import server_flags
from tickbench.compare.suite import load_suite, suite_names
from tickbench.errors import InputError

WriteSuite = Callable[..., Path]


@pytest.mark.parametrize("name", suite_names())
def test_the_suites_that_come_along_are_well_formed(name: str) -> None:
    suite = load_suite(name)
    assert suite.name == name
    assert len(suite.parsed_arms()) == len(suite.arms)
    for arm in suite.parsed_arms():  # each is one that its server serves, not only one that is spelt well
        parse_arguments(arm.backend, server_flags(arm, suite.server))


def test_quick_runs_both_backends_as_written_and_as_tuned_on_a_server_that_turns_nobody_away() -> None:
    suite = load_suite("quick")
    assert suite.arms == ["asyncio:fanout=naive,clock=loop", "gevent:fanout=naive,clock=loop", "asyncio", "gevent"]
    assert suite.repeats == 2
    assert suite.server["tick-budget"] == 0


def test_a_file_of_ones_own_is_read(suite_file: WriteSuite) -> None:
    suite = load_suite(str(suite_file("asyncio", more="[server]\npad = 100\n")))
    assert (suite.arms, suite.server) == (["asyncio"], {"pad": 100})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "missing required field"),
        ("name = ", "Invalid value"),
        ('name = "x"\nrepeat = 1', "repeat"),
    ],
)
def test_a_malformed_file_is_refused_in_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=complaint) as error:
        load_suite(str(path))
    assert "\n" not in str(error.value)


def test_numbers_out_of_range_are_refused(suite_file: WriteSuite) -> None:
    with pytest.raises(InputError, match="repeats"):
        load_suite(str(suite_file("asyncio", repeats=0)))


def test_a_malformed_arm_is_named_with_its_file(suite_file: WriteSuite) -> None:
    with pytest.raises(InputError, match=r"small\.toml.*unknown backend 'twisted'"):
        load_suite(str(suite_file("twisted")))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError):
        load_suite(str(path))


def test_an_unknown_suite_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(InputError, match="known are default, frameworks, full, loops, quick"):
        load_suite("quikc")


MORE = """
again = "asyncio"
compare = ["asyncio", "gevent"]
verdicts = ["tick_lateness_ms.p99", "arena"]

[[sides]]
name = "stall"
scenario = "stall"
connections = [100, 200]
duration_s = 5
warm_up_s = 1
load = {{ share = 5 }}

[[searches]]
name = "arena"
scenario = "steady"
duration_s = 5
warm_up_s = 1
slo = "{slo}"
budget_s = 60
repeats = {repeats}
start = {start}
"""


def with_parts(
    write: WriteSuite, old: str = "", new: str = "", slo: str = "reach>=1", start: int = 100, repeats: int = 3
) -> Path:
    """Write a suite with all parts, in which something is replaced."""
    text = MORE.format(slo=slo, start=start, repeats=repeats)
    assert old in text
    return write("asyncio", "gevent", more=text.replace(old, new) if old else text)


def test_a_suite_with_all_parts_is_read(suite_file: WriteSuite) -> None:
    suite = load_suite(str(with_parts(suite_file)))
    assert suite.sides[0].loads == [100, 200]
    assert [arm.name for arm in suite.arms_of(suite.sides[0])] == ["asyncio", "gevent"]
    assert suite.searches[0].precision == 1.2


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('again = "asyncio"', 'again = "gevent:mode=thread"', "is none of its arms"),
        ('again = "asyncio"', "", "'verdicts' need 'compare'"),
        ('["asyncio", "gevent"]', '["asyncio", "asyncio"]', "two different arms"),
        ('["asyncio", "gevent"]', '["asyncio"]', "two different arms"),
        ('"tick_lateness_ms.p99", "arena"', '"reach"', "no such figure or search"),
        ('"tick_lateness_ms.p99", "arena"', '"arena", "arena"', "twice"),
        ('"tick_lateness_ms.p99", "arena"', '"1", "2", "3", "4", "5", "6", "7"', "length <= 6"),
        ('name = "stall"', 'name = "arena"', "'arena' is given twice"),
        ('name = "stall"', 'name = "blocks"', "'blocks' is given twice"),
        ("[100, 200]", "[]", "length >= 1"),
        ('scenario = "stall"', 'scenarios = "stall"', "scenarios"),
        ('"arena"]', '"server.rss_per_connection_bytes"]', "needs load = { memory = 1000 }, or it is not measured"),
        (
            '"arena"]',
            '"server.rss_per_connection_bytes"]\nload = { memory = 100 }\nmemory_blocks = 2',
            "needs 3 blocks in which it is weighed; memory_blocks = 2 is too few",
        ),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(suite_file: WriteSuite, old: str, new: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as error:
        load_suite(str(with_parts(suite_file, old, new)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", suite_names())
def test_in_the_suites_that_come_along_every_snake_moves_with_every_tick(name: str) -> None:
    """So that what is measured has the work that it had before a snake's speed was a setting."""
    server = load_suite(name).server
    assert server["speed"] == server["tick-rate"]


def test_a_search_is_refused_for_its_objective_and_for_its_start(suite_file: WriteSuite) -> None:
    with pytest.raises(InputError, match="there is no figure 'lateness'"):
        load_suite(str(with_parts(suite_file, slo="lateness<1")))
    with pytest.raises(InputError, match="starts at 30000, beyond its limit 20000"):
        load_suite(str(with_parts(suite_file, start=30_000)))


@pytest.mark.parametrize(
    ("commands", "complaint"),
    [
        ('mine = "node server.js"', "has no {port}"),
        ('mine = "node \'server.js {port}"', "No closing quotation"),
        ('gevent = "node {port}"', "no backend's"),
        ('"a b" = "node {port}"', "1 to 40 letters"),
    ],
)
def test_commands_that_cannot_be_arms_are_refused(suite_file: WriteSuite, commands: str, complaint: str) -> None:
    with pytest.raises(InputError, match=re.escape(complaint)):
        load_suite(str(suite_file("gevent", more=f"[commands]\n{commands}\n")))


def test_a_command_is_an_arm_by_its_name(suite_file: WriteSuite) -> None:
    suite = load_suite(str(suite_file("gevent", "mine", more='[commands]\nmine = "node {port}"\n')))
    assert suite.parsed_arms()[1].command == "node {port}"


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ("load = { out = '/tmp/x' }", "flag 'out' is set by the comparison itself"),
        ("load = { users = 7 }", "flag 'users'"),
        ("[server]\nport = 80", "flag 'port'"),
        ("[server]\nphase = 0.5", "flag 'phase'"),
    ],
)
def test_flags_that_are_the_comparisons_own_are_refused(suite_file: WriteSuite, flags: str, complaint: str) -> None:
    with pytest.raises(InputError, match=re.escape(complaint)):
        load_suite(str(suite_file("gevent", more=f"{flags}\n")))


def test_a_verdict_on_capacity_needs_repeats(suite_file: WriteSuite) -> None:
    with pytest.raises(InputError, match="needs 3 repeats of its search"):
        load_suite(str(with_parts(suite_file, repeats=2)))
    assert load_suite(str(with_parts(suite_file))).verdicts[1] == "arena"


def test_a_search_of_another_arm_is_refused(suite_file: WriteSuite) -> None:
    with pytest.raises(InputError, match="none of the suite's arms"):
        load_suite(str(with_parts(suite_file, "budget_s = 60", "budget_s = 60\narms = ['gevent:mode=thread']")))
