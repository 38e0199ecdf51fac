"""
The states of a room's loop, and the events that lead from one to another, as a table.

A backend holds a :class:`Lifecycle`, feeds it what happened, and acts on the state that it enters: it starts the loop
on ``RUNNING``, ends it on ``STOPPING`` (and feeds ``STOPPED`` when it has ended), and closes everybody on ``CRASHED``.
"""

from enum import Enum, auto


class LoopState(Enum):
    """Where a loop stands."""

    IDLE = auto()  # nobody is in the room
    RUNNING = auto()
    STOPPING = auto()  # told to end, has not ended yet
    RESTARTING = auto()  # as STOPPING, but somebody has come in the meantime
    CRASHED = auto()  # the rules or the fan-out raised
    CLOSED = auto()  # ended for good


class LoopEvent(Enum):
    """What happens to a loop."""

    OCCUPIED = auto()  # the first connection entered
    VACATED = auto()  # the last one left
    STOPPED = auto()  # the loop has ended as it was told to
    FAILED = auto()  # the loop raised
    CLOSE = auto()  # the room is disposed of, or the server stops


IDLE, RUNNING, STOPPING, RESTARTING, CRASHED, CLOSED = LoopState

TRANSITIONS: dict[LoopState, dict[LoopEvent, LoopState]] = {
    IDLE: {LoopEvent.OCCUPIED: RUNNING, LoopEvent.FAILED: CRASHED, LoopEvent.CLOSE: CLOSED},
    RUNNING: {LoopEvent.VACATED: STOPPING, LoopEvent.FAILED: CRASHED, LoopEvent.CLOSE: CLOSED},
    STOPPING: {
        LoopEvent.OCCUPIED: RESTARTING,
        LoopEvent.STOPPED: IDLE,
        LoopEvent.FAILED: CRASHED,
        LoopEvent.CLOSE: CLOSED,
    },
    RESTARTING: {
        LoopEvent.VACATED: STOPPING,
        LoopEvent.STOPPED: RUNNING,
        LoopEvent.FAILED: CRASHED,
        LoopEvent.CLOSE: CLOSED,
    },
    # A crashed or closed room ends its connections: that they leave, and that the loop ends, changes nothing more.
    CRASHED: {LoopEvent.VACATED: CRASHED, LoopEvent.STOPPED: CRASHED, LoopEvent.CLOSE: CLOSED},
    CLOSED: {LoopEvent.VACATED: CLOSED, LoopEvent.STOPPED: CLOSED, LoopEvent.FAILED: CLOSED, LoopEvent.CLOSE: CLOSED},
}


class IllegalEventError(Exception):
    """An event that can't happen in the current state: a bug of ours."""


class Lifecycle:
    """One loop's state."""

    def __init__(self) -> None:
        self.state = IDLE

    def feed(self, event: LoopEvent) -> LoopState | None:
        """
        Enter and return the state that ``event`` leads to, or return None where it changes nothing.

        Raises:
            IllegalEventError: the table has no such row; the state stays.

        """
        try:
            state = TRANSITIONS[self.state][event]
        except KeyError:
            raise IllegalEventError(f"{event.name} while {self.state.name}") from None
        if state is self.state:
            return None
        self.state = state
        return state
