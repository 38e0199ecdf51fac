"""Which servers are timed, and by which commands."""

import os
from pathlib import Path

import pytest

from tickbench import cli
from tickbench.bench.arms import BARE, PEER, arms_of, bench_command, fanout_ways, read_commands
from tickbench.bench.frameworks import Framework, find_frameworks

ROOT = Path(__file__).resolve().parents[3]
HIDES = Framework("asyncio", "hides", ("library", "naive"))
ABLE = Framework("asyncio", "able", ("frame-once", "library", "naive"))
GREEN = Framework("gevent", "green", ("frame-once", "library", "naive"))


def test_a_framework_is_sent_by_in_every_way_that_it_can_beside_raw() -> None:
    ways = fanout_ways([ABLE, HIDES, GREEN])
    assert ways.pop(PEER, ("broadcast",)) == ("broadcast",)
    assert ways == {
        "asyncio:framework=able": ("raw", "frame-once", "library"),
        "asyncio:framework=able,fanout=naive": ("raw", "naive"),
        "asyncio:framework=hides,fanout=library": ("raw", "library"),
        "asyncio:framework=hides,fanout=naive": ("raw", "naive"),
        "gevent:framework=green": ("raw", "frame-once"),
        "gevent:framework=green,fanout=library": ("raw", "library"),
        "gevent:framework=green,fanout=naive": ("raw", "naive"),
    }


def test_it_reads_as_it_is_served_and_as_it_is_documented() -> None:
    assert arms_of("read", [HIDES, GREEN]) == [
        BARE,
        PEER,
        "asyncio:framework=hides,fanout=library",
        "asyncio:framework=hides,fanout=naive",
        "gevent:framework=green",
        "gevent:framework=green,fanout=naive",
    ]
    command = read_commands([HIDES])["asyncio:framework=hides,fanout=naive"]
    assert command[-4:] == ["--framework", "hides", "--fanout", "naive"]
    assert "backends.asyncio_server" in command


def test_the_bench_of_an_arm_has_its_settings() -> None:
    command = bench_command("gevent:framework=green,fanout=library", 7)
    assert command[-6:] == ["backends.gevent_server.bench", "7", "--framework", "green", "--fanout", "library"]


def lack(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """Have these missing in every child."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "tests" / "support" / "lacking"), str(ROOT)]))
    monkeypatch.setenv("LACKING", ",".join(modules))


def test_a_framework_that_is_not_installed_is_one_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lack(monkeypatch, "picows")
    assert cli.main(["bench", "read", "--framework", "picows"]) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "--framework picows needs the package picows, which is not installed; pip install 'tickbench[" in err


def test_of_all_frameworks_those_are_left_out_that_are_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lack(monkeypatch, "tornado", "flask_sock")
    found, missing = find_frameworks(["all"], tmp_path)
    names = {each.name for each in found}
    assert {"aiohttp", "starlette", "websockets", "picows", "gevent-websocket"} <= names
    assert not names & {"tornado", "flask-sock"}
    assert [line.split(" needs ")[0] for line in missing] == ["--framework tornado", "--framework flask-sock"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["read", "--framework", "rocket"], "websockets"), (["rules", "--framework", "picows"], "fanout and read")],
)
def test_what_is_no_framework_of_a_part_is_one_line(
    arguments: list[str], word: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bench", *arguments]) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert word in err
