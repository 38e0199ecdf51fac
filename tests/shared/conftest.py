"""
What the tests of the pure part share.

Property tests draw the same examples every time, and none fails because the machine was busy.
"""

import os

import pytest
from hypothesis import settings

settings.register_profile("shared", derandomize=True, deadline=None, database=None, max_examples=50)
settings.load_profile("shared")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("TICKBENCH_"):
            monkeypatch.delenv(name)
