import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.measure.summary import MemoryFigures
from tickbench.compare.figures import MEMORY
from tickbench.compare.plan import PlannedRun
from tickbench.compare.results import read_results
from tickbench.compare.suite import Suite
from tickbench.report.differences import compare_documents
from tickbench.report.document import Document, make_document

MakeResults = Callable[..., Path]


@pytest.fixture
def make_document_of(make_results: MakeResults, whole_suite: Suite) -> Callable[..., Document]:
    """Make the document of a comparison in which gevent takes so many times as long."""

    def make(factor: float = 1.0, seed: int = 1, arms: list[str] | None = None) -> Document:
        suite = msgspec.structs.replace(whole_suite, sides=[], searches=[], arms=arms or whole_suite.arms)

        def figures(planned: PlannedRun) -> dict[str, Any]:
            scatter = random.Random(f"{seed}/{planned.key}").uniform(0.97, 1.03)
            return {"tick_lateness_ms__p50": 2 * scatter * (factor if planned.arm.name == "gevent" else 1)}

        return make_document(read_results(make_results(suite, figures)))

    return make


def test_what_has_changed_is_said_and_nothing_else(make_document_of: Callable[..., Document]) -> None:
    found = compare_documents(make_document_of(), make_document_of(factor=1.5, seed=2))
    assert (found.machine, found.versions, found.suite) == ({}, {}, {})
    significant = [each for each in found.differences if each.is_significant]
    assert [(each.arm, each.figure) for each in significant] == [("gevent", "tick_lateness_ms.p50")]
    (changed,) = significant
    assert changed.ratio is not None
    assert changed.ratio.ratio == pytest.approx(1.5, rel=0.05)
    assert [float(changed.before), float(changed.after)] == pytest.approx([2, 3], rel=0.03)
    assert changed.unit == "ms"


def test_scatter_is_not_significant(make_document_of: Callable[..., Document]) -> None:
    found = compare_documents(make_document_of(seed=1), make_document_of(seed=2))
    assert not [each for each in found.differences if each.is_significant]


def test_arms_that_one_lacks_are_named(make_document_of: Callable[..., Document]) -> None:
    found = compare_documents(make_document_of(), make_document_of(arms=["asyncio", "gevent", "gevent:loop=libuv"]))
    assert (found.only_before, found.only_after) == (["asyncio:fanout=naive"], ["gevent:loop=libuv"])
    assert {each.arm for each in found.differences} == {"asyncio", "gevent"}


def test_another_machine_is_told_from_other_versions(make_document_of: Callable[..., Document]) -> None:
    before = make_document_of()
    environment = msgspec.structs.replace(
        before.environment,
        machine=msgspec.structs.replace(before.environment.machine, cpu_model="Another CPU"),
        packages=before.environment.packages | {"aiohttp": "9.9.9"},
    )
    after = msgspec.structs.replace(before, environment=environment)
    found = compare_documents(before, after)
    assert found.machine == {"processor": (before.environment.machine.cpu_model, "Another CPU")}
    assert found.versions == {"aiohttp": (before.environment.packages["aiohttp"], "9.9.9")}


def test_what_a_reason_spared_is_compared_and_the_rest_is_not(make_document_of: Callable[..., Document]) -> None:
    before = make_document_of()
    runs = [msgspec.structs.replace(run, mark="doubtful", trusted=["reach", "ping_rtt_ms.p99"]) for run in before.runs]
    found = compare_documents(before, msgspec.structs.replace(before, runs=runs))
    assert {each.figure for each in found.differences if each.ratio is not None} == {"ping_rtt_ms.p99"}


def test_another_load_is_said(make_document_of: Callable[..., Document]) -> None:
    before = make_document_of()
    after = msgspec.structs.replace(before, suite=msgspec.structs.replace(before.suite, connections=999))
    assert compare_documents(before, after).suite == {"connections": ("300", "999")}


def test_why_memory_is_not_known_is_said_of_those_who_asked(
    make_results: MakeResults, whole_suite: Suite, make_document_of: Callable[..., Document]
) -> None:
    unknown = MemoryFigures(why_not="of 100 more 20 are in")
    figures = {"server__rss_per_connection_bytes": None, "server__memory": unknown}

    def differences(load: dict[str, int]) -> list[list[str]]:
        suite = msgspec.structs.replace(whole_suite, sides=[], searches=[], load=load)
        document = make_document(read_results(make_results(suite, lambda _: figures)))
        found = compare_documents(make_document_of(), document).differences
        return [each.why_none for each in found if each.figure == MEMORY]

    assert differences({"memory": 1000}) == [["B: of 100 more 20 are in"]] * 3
    assert differences({}) == [[]] * 3
