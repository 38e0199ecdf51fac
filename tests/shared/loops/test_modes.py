from shared.loops.modes import MODES
from shared.server.config import parse_arguments


def test_every_mode_is_a_value_of_the_flag() -> None:
    for mode in MODES:
        assert parse_arguments("asyncio", ["--mode", mode]).mode == mode


def test_managed_is_the_default() -> None:
    assert parse_arguments("asyncio", []).mode == MODES[0] == "managed"
