"""The table of all checks, in the order in which they are made."""

from tickbench.conformance.check import Check
from tickbench.conformance.checks import entrance as entrance_checks
from tickbench.conformance.checks import frames as frame_checks
from tickbench.conformance.checks import http as http_checks
from tickbench.conformance.checks import keys as key_checks
from tickbench.conformance.checks import pings as ping_checks
from tickbench.conformance.checks import play as play_checks
from tickbench.conformance.checks import refusals as refusal_checks
from tickbench.conformance.checks import rooms as room_checks
from tickbench.conformance.checks import ticks as tick_checks
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.verdict import FaultError


def check_alive(subject: ServerUnderTest) -> str | None:
    """Check that the server still answers after all other checks."""
    if subject.gone or not subject.is_there():
        raise FaultError(subject.gone, "no client ends the server")
    return None


ALIVE = Check("alive", "Whatever a client does, the server goes on.", check_alive)

CHECKS: tuple[Check, ...] = (
    *http_checks.EARLY_CHECKS,
    *entrance_checks.CHECKS,
    *tick_checks.CHECKS,
    *ping_checks.CHECKS,
    *play_checks.CHECKS,
    *key_checks.CHECKS,
    *room_checks.CHECKS,
    *refusal_checks.CHECKS,
    *frame_checks.CHECKS,
    # These wait for a timeout that began when the run did, or judge all that was seen.
    *entrance_checks.LATE_CHECKS,
    *http_checks.LATE_CHECKS,
    *room_checks.LATE_CHECKS,
    ALIVE,
)
