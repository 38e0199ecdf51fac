import re

from shared.system.boot import boot_id


def test_it_is_the_same_for_as_long_as_the_machine_runs() -> None:
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", boot_id() or "")
    assert boot_id() == boot_id()
