from pathlib import Path

import pytest

from shared.system import programs
from shared.system.programs import find_program


def test_a_program_is_found_in_the_path_and_where_daemons_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "planted"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    assert find_program("planted") is None
    monkeypatch.setattr(programs, "DAEMONS", str(tmp_path))
    assert find_program("planted") == str(program)
    monkeypatch.setattr(programs, "DAEMONS", "/no/such/folder")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program("planted") == str(program)
