"""The command line of tickbench with the stand-ins for its children."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tickbench.arms import Arm
from tickbench.children.commands import Commands, Settings, server_command
from tickbench.cli import main

HERE = Path(__file__).parent


def fake_server(arm: Arm, settings: Settings, port: int | None) -> list[str]:
    if arm.command is not None:
        return server_command(arm, settings, port)
    flags = {**settings, **dict(arm.settings)}
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    return [sys.executable, str(HERE / "server.py"), *words]


def fake_load(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, str(HERE / "load.py"), *arguments]


if __name__ == "__main__":
    sys.exit(main(commands=Commands(server=fake_server, load=fake_load, check=None)))
