"""
The load test, that also writes down what it takes into its figures: to the file that the variable TOLD names.

``rows``: for each frame of the measured window the number of its connection, that of the tick, and the lateness in
microseconds; ``entered_us``: when each connection entered its room.
"""

import os
from typing import Any

import numpy as np
from locust import events

from loadtests.account.recorder import Recorder
from loadtests.locustfile import *  # noqa: F403 - Locust looks for user classes here

TOLD = os.environ["TOLD"]

_rows: list[Any] = []
_recorders: set[Recorder] = set()
_record_lateness = Recorder._record_lateness


def record_lateness(self: Recorder, rows: Any, kept: Any) -> None:
    """Write down what the recorder is about to take into its histograms."""
    measured = rows.measured & kept
    lateness_us = rows.arrival_us + self._ahead_us - rows.due_us
    _rows.append(np.stack((rows.connection, rows.n, lateness_us), axis=1)[measured])
    _recorders.add(self)
    _record_lateness(self, rows, kept)


def write(**_: Any) -> None:
    (recorder,) = _recorders
    presences = recorder.presences
    np.savez(TOLD, rows=np.concatenate(_rows), entered_us=presences.entered_us[: presences.count])


Recorder._record_lateness = record_lateness  # type: ignore[method-assign]
events.quitting.add_listener(write)  # type: ignore[no-untyped-call]
