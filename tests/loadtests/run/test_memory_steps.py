"""What a connection weighs is known, or it is said why not, whatever the server has been through."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from loadtests.account.memory_slope import STEPS
from loadtests.run import memory_steps as weighing
from loadtests.run.memory_steps import weigh
from loadtests.run.messages import WorkerReport
from loadtests.scenario import Scenario
from loadtests.verdict.summary import summarise
from tests.loadtests.run.test_worker import OPTIONS
from tests.loadtests.surroundings.test_server_stats import decoded, stats
from tests.loadtests.verdict.test_summary import run

if TYPE_CHECKING:
    from loadtests.surroundings.server_stats import ServerStats
    from shared.measure.summary import LoadSummary

GAME = replace(OPTIONS, scenario=Scenario("", user=object), scenario_name="steady", users=300, extra_connections=1000)
KIB = 1024
EACH = 20 * KIB
OWN = 10 * KIB


@pytest.fixture(autouse=True)
def _no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weighing, "SETTLE_S", 0)
    monkeypatch.setattr(weighing, "POLL_S", 0)


class Served:
    """A server and the workers that load it: who has come holds memory, and who has gone left it free."""

    def __init__(self, up: int = 300, *, earlier: int = 0, tells: bool = True, free_bytes: int = 0) -> None:
        self.up = up
        self.accepted = earlier if tells else None
        self.free_bytes = free_bytes + earlier * EACH
        self.pid = 1
        self.room_for = 10**6
        self.has_stats = True
        self.dismissed = False
        self.had_extra = False
        self.extra = 0
        self.wanted = 0
        self.base = self.stats(0)
        if self.accepted is not None:
            self.accepted += up

    def stats(self, connections: int) -> ServerStats:
        held = max(EACH * connections, self.free_bytes)
        process = {"pid": self.pid, "cpu_s": 1.0, "rss_bytes": 45 * 2**20 + held, "cpus": [0]}
        accepted = None if self.accepted is None else self.accepted + self.extra
        return decoded(connections=connections, process=process, accepted=accepted)

    def ask(self) -> ServerStats | None:
        return self.stats(self.up + self.extra) if self.has_stats else None

    # The workers'

    order_takes_s = 0.0

    def reports(self) -> list[WorkerReport]:
        return [
            WorkerReport(
                phase="settled",
                users=GAME.users,
                settled=GAME.users,
                up=GAME.users,
                why_none="",
                rss_bytes=60 * 2**20 + OWN * (GAME.users + self.extra),
                extra_up=self.extra,
                extra_settled=self.wanted,
                why_no_extra="" if self.extra == self.wanted else f"{self.wanted - self.extra} x HTTP status 503",
                had_extra=self.had_extra,
            )
        ]

    def bring(self, total: int) -> None:
        self.wanted = total
        self.extra = min(total, self.room_for)
        self.dismissed = not total

    def failed(self) -> str:
        return ""

    def weighed(self, **options: Any) -> LoadSummary:
        workers: Any = self
        summary = weigh(summarise(run()), replace(GAME, **options), workers, self.base, self.ask)
        assert self.dismissed, "whatever happened"
        return summary

    def why_not(self, **options: Any) -> str:
        summary = self.weighed(**options)
        assert summary.server.memory is not None
        assert summary.server.rss_per_connection_bytes is None
        return summary.server.memory.why_not


def test_what_one_more_takes_of_server_and_generator() -> None:
    summary = Served().weighed()
    assert summary.server.rss_per_connection_bytes == pytest.approx(EACH)
    assert summary.generator.rss_per_connection_bytes == pytest.approx(OWN)
    assert summary.server.memory is not None
    assert [connections for connections, _ in summary.server.memory.plateaus] == list(range(300, 1301, 100))


@pytest.mark.parametrize("users", [300, 1000, 2000])
@pytest.mark.parametrize("free_bytes", [0, 4 * 2**20])
def test_it_is_the_same_whatever_importing_left_free(users: int, free_bytes: int) -> None:
    served = Served(users, free_bytes=free_bytes)
    assert served.weighed(users=users).server.rss_per_connection_bytes == pytest.approx(EACH, rel=0.01)


def test_after_a_load_of_the_same_process_it_is_not_known() -> None:
    served = Served(earlier=1300)
    assert served.why_not().startswith("1300 connections had come and gone before this run")
    assert served.extra == 0, "there was no use in it"


def test_after_a_smaller_load_it_is_not_known_either() -> None:
    """What 300 left free and 700 have swallowed is not all: asyncio's server read 14.7 KiB then, where it is 15.8."""
    assert Served(700, earlier=300).why_not(users=700).startswith("300 connections had come and gone")


def test_a_few_who_looked_before_do_not_matter() -> None:
    assert Served(earlier=3).weighed().server.rss_per_connection_bytes == pytest.approx(EACH, rel=0.01)


def test_of_a_server_that_does_not_tell_it_is_known_only_when_it_is_fresh() -> None:
    unused = decoded(ticks=stats()["ticks"] | {"count": 0}, accepted=None)
    served = Served(tells=False)
    served.base = unused
    assert served.weighed().server.rss_per_connection_bytes == pytest.approx(EACH)
    assert "it is not known whom the server had served before" in Served(tells=False).why_not()


def test_those_who_left_in_the_run_left_memory_behind() -> None:
    served = Served()
    served.up = 60
    assert served.why_not().startswith("240 have left in this run")
    served = Served(tells=False)
    served.base = decoded(ticks=stats()["ticks"] | {"count": 0}, accepted=None)
    served.up = 60
    assert served.why_not().startswith("240 have left in this run")


def test_a_full_server_is_named() -> None:
    served = Served()
    served.room_for = 120
    assert served.why_not() == "of 200 more 120 are in: 80 x HTTP status 503"


def test_a_server_that_was_started_anew_is_named() -> None:
    served = Served()
    served.pid = 2
    assert served.why_not() == "process 1 answered before the run, and now 2"


def test_a_server_that_falls_silent_or_never_told() -> None:
    served = Served()
    served.has_stats = False
    assert served.why_not() == "the server did not answer GET /stats"
    served = Served()
    workers: Any = served
    summary = weigh(summarise(run()), GAME, workers, None, served.ask)
    assert summary.server.memory is not None
    assert summary.server.memory.why_not == weighing.NOT_TOLD


def test_echo_connections_are_no_spectators() -> None:
    assert "are no spectators" in Served().why_not(scenario=Scenario("", user=object, path="/echo"))


def test_a_server_that_lets_nobody_in_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weighing, "LIMIT_S", 0)
    served = Served()
    monkeypatch.setattr(served, "bring", lambda total: setattr(served, "dismissed", not total))
    assert served.why_not() == "to let in 1000 more took longer than 0 s"


def test_a_generator_that_had_another_run_does_not_know_its_own() -> None:
    served = Served()
    served.had_extra = True
    summary = served.weighed()
    assert summary.server.rss_per_connection_bytes == pytest.approx(EACH)
    assert summary.generator.rss_per_connection_bytes is None
    assert summary.generator.memory is not None
    assert summary.generator.memory.why_not == "this generator has had another run before"


def test_all_ten_steps_are_made_of_any_number() -> None:
    assert STEPS == 10
    summary = Served().weighed(extra_connections=105)
    assert summary.server.memory is not None
    assert len(summary.server.memory.plateaus) == STEPS + 1
    assert summary.server.rss_per_connection_bytes == pytest.approx(EACH)
