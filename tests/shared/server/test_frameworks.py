"""The table of frameworks: each is a file of its backend's, with fan-outs and packages that exist."""

from pathlib import Path

import pytest

from shared.server.frameworks import FANOUTS, FRAMEWORKS, FrameworkEntry, framework_of, module_of

BACKENDS = Path(__file__).resolve().parents[3] / "backends"
BESIDE = {"__init__", "base", "doorkeeper"}
"""Files that are no framework."""


@pytest.mark.parametrize("backend", FRAMEWORKS)
def test_each_framework_is_a_file_and_each_file_a_framework(backend: str) -> None:
    files = {path.stem for path in (BACKENDS / f"{backend}_server" / "frameworks").glob("*.py")} - BESIDE
    modules = {module_of(backend, name) for name in FRAMEWORKS[backend]}
    assert modules == {f"backends.{backend}_server.frameworks.{file}" for file in files}


@pytest.mark.parametrize("backend", FRAMEWORKS)
def test_the_default_can_do_every_fan_out_and_every_one_some(backend: str) -> None:
    first, *others = FRAMEWORKS[backend]
    assert framework_of(backend, first).fanouts == FANOUTS
    for name in others:
        assert set(framework_of(backend, name).fanouts) <= set(FANOUTS)
        assert framework_of(backend, name).fanouts


def test_each_can_leave_compression_out_and_none_has_what_it_lacks() -> None:
    entries = [entry for frameworks in FRAMEWORKS.values() for entry in frameworks.values()]
    assert all("off" in entry.deflates for entry in entries)
    assert [entry for entry in entries if ("on" in entry.deflates) != (entry.deflate is not None)] == []
    hidden = FrameworkEntry((), fanouts=("library", "naive"), deflate="off")
    assert hidden.deflates == ("off", "on")
    assert [hidden.usual_deflate(fanout) for fanout in hidden.fanouts] == ["off", "off"]


@pytest.mark.parametrize("backend", FRAMEWORKS)
def test_each_names_the_packages_that_a_result_states(backend: str) -> None:
    for name in FRAMEWORKS[backend]:
        assert "msgspec" in framework_of(backend, name).packages
