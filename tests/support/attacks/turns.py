"""All attacks on one server, one after the other, beside players who stay: what they did, and which promises broke."""

import time
from collections.abc import Callable
from contextlib import ExitStack

from tests.support.attacks.apart import apart
from tests.support.attacks.engine import Attack
from tests.support.attacks.trial import (
    Outcome,
    Sizes,
    Watch,
    disturbed,
    held,
    judge,
    look_after,
    quiet_run,
    stop,
    under_attack,
)
from tests.support.server import RunningServer

IN_TURNS = "in turns"
LEAST_S = 0.5
"""Of an attack."""
WAIT_S = 30.0
"""For an attacker to end, beyond its time."""


def stand_in_turns(
    attacks: list[Attack], server: RunningServer, sizes: Sizes, room_of: Callable[[Attack], str] = lambda _: "main"
) -> Outcome:
    """Have a server that was just started stand them all, ``attack_s`` together; then it is stopped."""
    outcome = Outcome(IN_TURNS)
    with ExitStack() as stack:
        stack.enter_context(apart(server.pids(), comes_first=not sizes.is_full))
        watch = Watch(server, sizes.players)
        stack.callback(watch.end)
        outcome.quiet = quiet_run(watch, sizes.quiet_s)
        before = held(server)
        until = time.monotonic() + sizes.attack_s
        for number, attack in enumerate(attacks):
            share = max(LEAST_S, (until - time.monotonic()) / (len(attacks) - number))
            _stand(attack, server, watch, sizes._replace(attack_s=share), room_of(attack), outcome)
        look_after(outcome, server, watch, before, sizes.after_s)
        judge(outcome)
        stop(outcome, server)
    return outcome


def _stand(attack: Attack, server: RunningServer, watch: Watch, sizes: Sizes, room: str, outcome: Outcome) -> None:
    """Have it stand one more, again beside a new quiet run if it did not, and note the worst."""
    seconds, size = sizes.attack_s, attack.full if sizes.is_full else attack.short
    worst = outcome.meanwhile
    for quiet in (outcome.quiet, None):
        beside = quiet or quiet_run(watch, sizes.quiet_s)
        with under_attack(attack, server, size, seconds, room) as process:
            process.wait(seconds + WAIT_S)
        seen = watch.figures()
        if not (seen.newcomers_ms or seen.refusals) and seconds < 1:
            seen.newcomers_ms.append(0.0)  # nobody was due in so short a time
        faults = disturbed(attack, beside, seen, seconds)
        worst.silence_ms, worst.skipped = max(worst.silence_ms, seen.silence_ms), max(worst.skipped, seen.skipped)
        worst.newcomers_ms.append(max(seen.newcomers_ms, default=0.0))
        outcome.told.setdefault(attack.name, []).append(faults or "held")
        if not faults:
            break
    outcome.faults += [f"{attack.name}: {fault}" for fault in faults]
