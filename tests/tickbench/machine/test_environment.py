import subprocess
from pathlib import Path

import msgspec

from shared.measure.quota import Quota
from tickbench.machine.environment import Environment, differences, git_state


def test_an_environment_does_not_differ_from_itself(environment: Environment) -> None:
    assert differences(environment, environment) == {}


def test_how_busy_it_was_is_no_difference(environment: Environment) -> None:
    later = msgspec.structs.replace(
        environment,
        recorded_at="2030-01-01T00:00:00+00:00",
        machine=msgspec.structs.replace(environment.machine, load_average=(9.0, 9.0, 9.0), boot_id="another"),
    )
    assert differences(environment, later) == {}


def test_each_difference_is_named_with_both_sides(environment: Environment) -> None:
    other = msgspec.structs.replace(
        environment,
        python=msgspec.structs.replace(environment.python, version="3.99.0"),
        packages={name: version for name, version in environment.packages.items() if name != "aiohttp"} | {"new": "1"},
        git_is_clean=False,
        git_changes="another",
    )
    found = differences(environment, other)
    assert set(found) == {"Python", "commit", "aiohttp", "new"}
    assert found["aiohttp"] == (environment.packages["aiohttp"], "not there")
    assert found["new"] == ("not there", "1")
    assert "3.99.0" in found["Python"][1]


def test_a_quota_of_cpu_time_is_a_difference_and_what_it_has_held_back_is_none(environment: Environment) -> None:
    def under(*quotas: Quota) -> Environment:
        return msgspec.structs.replace(
            environment, machine=msgspec.structs.replace(environment.machine, cpu_quotas=list(quotas))
        )

    assert differences(under(), under(Quota("/a", 1.5), Quota("/", 8.0))) == {"cpu quota": ("none", "1.5 cores")}
    assert differences(under(Quota("/a", 1.5)), under(Quota("/b", 1.5, 9, 9))) == {}


def test_two_machines_of_one_kind_are_two_machines(environment: Environment) -> None:
    def on(machine_id: str | None) -> Environment:
        return msgspec.structs.replace(
            environment, machine=msgspec.structs.replace(environment.machine, machine_id=machine_id)
        )

    assert set(differences(on("a"), on("b"))) == {"machine"}
    assert differences(on("a"), on(None)) == {}, "not known of one of them"


def test_what_was_changed_since_the_commit_counts(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        command = ["git", "-C", str(tmp_path), *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=20)

    def changes() -> str | None:
        return git_state(tmp_path)[2]

    git("init", "-q")
    program = tmp_path / "program.py"
    program.write_text("one = 1\n", "utf-8")
    git("add", ".")
    git("-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "-m", "Begin")
    assert git_state(tmp_path)[1:] == (True, None)
    program.write_text("one = 2\n", "utf-8")
    first = changes()
    program.write_text("one = 3\n", "utf-8")
    assert first != changes() is not None
    program.write_text("one = 2\n", "utf-8")
    assert changes() == first
    (tmp_path / "notes.txt").write_text("no program", "utf-8")
    assert changes() == first
    (tmp_path / "new.py").write_text("two = 2\n", "utf-8")
    assert changes() != first


def test_outside_of_a_checkout_there_is_no_commit(tmp_path: Path) -> None:
    assert git_state(tmp_path) == (None, None, None)
