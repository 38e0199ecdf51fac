from collections.abc import Callable
from pathlib import Path

import pytest

from shared.config import parse_arguments
from tickbench.errors import InputError
from tickbench.suite import load_suite, suite_names

WriteSuite = Callable[..., Path]


@pytest.mark.parametrize("name", suite_names())
def test_the_suites_that_come_along_are_well_formed(name: str) -> None:
    suite = load_suite(name)
    assert suite.name == name
    assert len(suite.parsed_arms()) == len(suite.arms)
    for arm in suite.parsed_arms():  # each is one that its server serves, not only one that is spelt well
        flags = {**suite.server, **dict(arm.settings)}
        parse_arguments(arm.backend, [word for name, value in flags.items() for word in (f"--{name}", str(value))])


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
    with pytest.raises(InputError, match="known are default, full, loops, quick"):
        load_suite("quikc")
