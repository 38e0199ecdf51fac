import pytest

from tickbench.arms import Arm, parse_arm, parse_arms, spelt_out
from tickbench.errors import InputError


@pytest.mark.parametrize(
    ("text", "arm"),
    [
        ("asyncio", Arm("asyncio")),
        ("gevent:fanout=naive", Arm("gevent", (("fanout", "naive"),))),
        ("gevent:fanout=naive,slow-limit=2.5", Arm("gevent", (("fanout", "naive"), ("slow-limit", "2.5")))),
    ],
)
def test_an_arm_is_read_and_named_alike(text: str, arm: Arm) -> None:
    assert parse_arm(text) == arm
    assert arm.name == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "twisted",
        "asyncio:",
        "asyncio:fanout",
        "asyncio:fanout=",
        "asyncio:=x",
        "asyncio:a=b,",
        "asyncio:a=b c",
        "Asyncio",
    ],
)
def test_a_malformed_arm_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(InputError, match="; ") as error:
        parse_arm(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["port", "host", "tick-budget", "bots", "seed"])
def test_an_arm_cannot_set_what_must_be_alike(key: str) -> None:
    with pytest.raises(InputError, match="same for all arms"):
        parse_arm(f"asyncio:{key}=1")


def test_an_arm_cannot_set_the_phase_which_the_comparison_sets() -> None:
    with pytest.raises(InputError, match="'phase' is set by the comparison itself"):
        parse_arm("asyncio:phase=0.2")


@pytest.mark.parametrize(
    ("arm", "takes"),
    [("asyncio", True), ("gevent:clock=loop", True), ("told", True), ("untold", False), ("url=ws://x:1", False)],
)
def test_an_arm_takes_a_phase_if_it_is_ours_or_its_command_has_a_place_for_it(arm: str, *, takes: bool) -> None:
    commands = {"told": "node {port} --phase={phase}", "untold": "node {port}"}
    assert parse_arm(arm, commands).takes_phase == takes


@pytest.mark.parametrize(("cores", "numbers"), [(1, [1, 2]), (3, [1, 2]), (4, [1, 2, 4]), (9, [1, 2, 4, 8])])
def test_a_suite_may_leave_open_how_many_processes_there_are(cores: int, numbers: list[int]) -> None:
    arms = spelt_out("gevent:processes=*,relay=unix", cores)
    assert arms == [f"gevent:processes={number},relay=unix" for number in numbers]
    assert [parse_arm(arm).processes for arm in arms] == numbers
    assert spelt_out("asyncio:fanout=naive", cores) == ["asyncio:fanout=naive"]
    assert parse_arm("asyncio").processes == 1


def test_an_arm_given_twice_is_refused_in_whatever_order_of_settings() -> None:
    with pytest.raises(InputError, match="twice"):
        parse_arms(["gevent:mode=managed,fanout=naive", "gevent:fanout=naive,mode=managed"])


def test_a_slug_is_fit_for_a_file_name() -> None:
    assert parse_arm("gevent:scores=/tmp/../x,fanout=naive").slug == "gevent-scores-tmp-x-fanout-naive"


@pytest.mark.parametrize("url", ["ws://127.0.0.1:8000/connect", "http://[::1]:9", "ws://example.org/x?room=a"])
def test_a_url_is_an_arm(url: str) -> None:
    arm = parse_arm(f"url={url}")
    assert (arm.url, arm.name) == (url, f"url={url}")
    assert "/" not in arm.slug


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8000", "ftp://x", "wss://", "ws://", "ws://x:99999", "ws://x y", "ws://u%0a:p@x"]
)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InputError, match=r"^arm url=.*; "):
        parse_arm(f"url={url}")


def test_a_command_is_an_arm_where_the_suite_has_it() -> None:
    arm = parse_arm("mine", {"mine": "node {port}"})
    assert (arm.name, arm.command) == ("mine", "node {port}")
    with pytest.raises(InputError, match="known are asyncio, gevent, mine"):
        parse_arm("yours", {"mine": "node {port}"})


def test_urls_and_commands_are_told_apart() -> None:
    commands = {"mine": "node {port}", "yours": "node {port}"}
    assert len(parse_arms(["mine", "yours", "url=ws://a", "url=ws://b"], commands)) == 4
    with pytest.raises(InputError, match="twice"):
        parse_arms(["url=ws://a", "url=ws://a"])
