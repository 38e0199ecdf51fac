"""A wheel that is installed outside the checkout serves with every framework, and has a game for servers elsewhere."""

import json
import re
import urllib.request
from pathlib import Path

import msgspec
import pytest

from shared.server.frameworks import FRAMEWORKS
from tests.support.installed import Installation, build_wheel, install
from tickbench import cli
from tickbench.conformance.verdict import Conformance

pytestmark = [pytest.mark.xdist_group("wheel"), pytest.mark.timeout(400)]  # a registry may be slow

ROOT = Path(__file__).resolve().parent.parent
SHOWN = re.compile(r"```python\n(.*?)```", re.DOTALL)
EVERY = [(backend, name) for backend, frameworks in FRAMEWORKS.items() for name in frameworks]
BEYOND = [(backend, name) for backend, name in EVERY if FRAMEWORKS[backend][name].extra == "frameworks"]
OF_THE_LIBRARY = {"bad-request", "flood"}
"""The websockets library hangs up where a request has a body, and keeps control pings to itself."""


HASTY = (
    *("--port", "0", "--tick-rate", "100", "--speed", "100", "--tick-budget", "0"),
    *("--new-player-limit", "1.5", "--handshake-limit", "1"),
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def with_frameworks(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(wheel, tmp_path_factory.mktemp("elsewhere") / "frameworks", ["frameworks"])


@pytest.fixture(scope="module")
def with_server(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(wheel, tmp_path_factory.mktemp("elsewhere") / "server", ["server"])


def stats(url: str) -> dict[str, object]:
    with urllib.request.urlopen(f"{url}/stats", timeout=10) as answer:  # noqa: S310 # it is our own
        page: dict[str, object] = json.load(answer)
    return page


def test_what_is_imported_is_the_wheels(with_server: Installation) -> None:
    done = with_server.run(
        with_server.python, "-c", "import shared, tickbench.core as it; print(shared.__file__, it.__file__)"
    )
    assert done.returncode == 0, done.stderr
    assert all(path.startswith(str(with_server.folder)) for path in done.stdout.split())


def test_the_settings_of_a_cluster_come_along(with_server: Installation, tmp_path: Path) -> None:
    folder = tmp_path / "game"
    done = with_server.run(with_server.program, "cluster", "gevent", "--processes", "3", "--render", str(folder))
    assert done.returncode == 0, done.stderr
    assert f"command = {with_server.python} -P -m backends.gevent_server" in (folder / "supervisord.conf").read_text()
    assert "server server-3 127.0.0.1:8003 id 3" in (folder / "haproxy.cfg").read_text()


def test_a_package_in_the_way_is_named(with_server: Installation, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "__init__.py").touch()
    (tmp_path / "mine.py").write_text("import tickbench.core", "utf-8")
    done = with_server.run(with_server.python, str(tmp_path / "mine.py"))
    assert done.returncode == 1
    assert f"{tmp_path / 'shared'} is found in its place; give that another name" in done.stderr.splitlines()[-1]


def test_without_its_extra_the_game_says_what_it_needs(wheel: Path, tmp_path: Path) -> None:
    bare = install(wheel, tmp_path / "bare", [])
    done = bare.run(bare.python, "-c", "import tickbench.core")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("is not installed; pip install 'tickbench[server]' would add it")


@pytest.mark.parametrize(("backend", "name"), EVERY)
def test_every_framework_serves(with_frameworks: Installation, backend: str, name: str) -> None:
    command = [with_frameworks.program, "serve", backend, "--framework", name, "--port", "0"]
    with with_frameworks.serving(*command) as server:
        settings = stats(server.url)["settings"]
    assert isinstance(settings, dict)
    assert settings["framework"] == name


@pytest.mark.parametrize(("backend", "name"), BEYOND)
def test_one_that_is_not_installed_is_one_line(with_server: Installation, backend: str, name: str) -> None:
    done = with_server.run(with_server.program, "serve", backend, "--framework", name, "--port", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        rf"error: --framework {name} needs the package [\w-]+, which is not installed; "
        r"pip install 'tickbench\[frameworks\]' would add it\n",
        done.stderr,
    ), done.stderr


def test_one_that_there_is_not_is_one_line(with_server: Installation) -> None:
    done = with_server.run(with_server.program, "serve", "asyncio", "--framework", "nope", "--port", "0")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "'picows'" in done.stderr


@pytest.fixture(scope="module")
def shown_server(with_server: Installation) -> str:
    """The server that docs/adding-a-stack.md shows, as it stands there, in a file elsewhere."""
    (text,) = SHOWN.findall((ROOT / "docs" / "adding-a-stack.md").read_text("utf-8"))
    path = with_server.folder / "my_server.py"
    path.write_text(text, "utf-8")
    return str(path)


def test_the_server_that_is_shown_is_fit_to_be_measured(
    with_server: Installation, shown_server: str, tmp_path: Path
) -> None:
    file = tmp_path / "found.json"
    with with_server.serving(with_server.python, shown_server, *HASTY) as server:
        assert server.ready_line.startswith("my-server listening on http://127.0.0.1:")
        page = stats(server.url)
        cli.main(["conformance", server.url, "--json", str(file)])
    found = msgspec.json.decode(file.read_bytes(), type=Conformance)
    assert (found.is_fit, found.unfit_because) == (True, None)
    faults = {result.name: result.seen for result in found.checks if result.level == "fault"}
    assert set(faults) <= OF_THE_LIBRARY, faults
    assert all(result.grade == "hardening" for result in found.checks if result.name in faults)
    assert page["arm"] == page["backend"] == "my-server"
    assert isinstance(page["settings"], dict)
    assert "framework" not in page["settings"]
    assert isinstance(page["process"], dict)
    assert list(page["process"]["packages"]) == ["websockets"]


def test_what_the_server_that_is_shown_cannot_do_is_refused(with_server: Installation, shown_server: str) -> None:
    for flags, words in ((["--fanout", "naive"], "fanout=naive"), (["--echo"], "--echo")):
        done = with_server.run(with_server.python, shown_server, "--port", "0", *flags)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert words in done.stderr
    done = with_server.run(with_server.python, shown_server, "--help")
    assert done.stdout.startswith("Usage: my-server "), done.stderr
