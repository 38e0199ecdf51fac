import msgspec

from tickbench.environment import Environment, differences


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
        git_is_clean=not environment.git_is_clean,
    )
    found = differences(environment, other)
    assert set(found) == {"Python", "commit", "aiohttp", "new"}
    assert found["aiohttp"] == (environment.packages["aiohttp"], "not there")
    assert found["new"] == ("not there", "1")
    assert "3.99.0" in found["Python"][1]
