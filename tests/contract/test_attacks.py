"""Whatever one peer does, good players hear every tick, newcomers come in, and the server stops when it is told to."""

import pytest

from shared.server.frameworks import FANOUTS
from tests.conftest import Arm, Serve
from tests.support.attacks.engine import Attack
from tests.support.attacks.kinds import ALONE, ATTACKS, INFLATED, TOGETHER
from tests.support.attacks.trial import ANSWER_LIMIT_S, Outcome, Sizes, try_attack, under_attack
from tests.support.attacks.turns import LEAST_S, stand_in_turns
from tests.support.server import wait_until

pytestmark = [pytest.mark.differs(), pytest.mark.xdist_group("cores")]  # one at a time: each takes a core and more

SIZES = Sizes(players=5, quiet_s=0.4, attack_s=1.0, after_s=0.4, is_full=False)

LARGE = ("channels", "daphne")
"""Frameworks whose 999 connections leave more memory behind than is promised: to the next 999; see docs/security.md."""


def trial(serve: Serve, *attacks: Attack, more_flags: tuple[str, ...] = (), before: tuple[Attack, ...] = ()) -> Outcome:
    """Have a server stand one attack, and a stop in its midst, or several in turns; ``before`` are over by then."""
    flags = {word for attack in attacks for word in attack.flags} | {*more_flags}
    # No tick budget: what other tests make the machine do must not refuse anybody here.
    with serve("--tick-budget", "0", *flags, logs=True) as server:
        for attack in before:
            with under_attack(attack, server, attack.short, SIZES.attack_s, "main") as process:
                process.wait(SIZES.attack_s + ANSWER_LIMIT_S)
            wait_until(lambda: server.stats()["connections"] == 0)
            wait_until(lambda: len(server.stats()["rooms"]) <= 1)
        if len(attacks) == 1:
            outcome = try_attack(attacks[0], server, SIZES)
        else:
            outcome = stand_in_turns(list(attacks), server, SIZES._replace(attack_s=LEAST_S * len(attacks)))
        assert "Traceback" not in server.log, server.log
    return outcome


@pytest.mark.parametrize("name", ALONE)
def test_an_attack_is_nobody_elses_trouble(serve: Serve, arm: Arm, name: str) -> None:
    before = (ATTACKS[name],) if name == "rooms-held" and arm.framework in LARGE else ()
    outcome = trial(serve, ATTACKS[name], before=before)
    if outcome.faults or not outcome.told["dialled"]:  # a busy machine can make faults once, or keep the attacker away
        outcome = trial(serve, ATTACKS[name], before=before)
    assert not outcome.faults, outcome
    assert outcome.told["dialled"]


def test_the_others_in_turns_are_nobody_elses_trouble(serve: Serve) -> None:
    outcome = trial(serve, *(ATTACKS[name] for name in TOGETHER))
    assert not outcome.faults, outcome
    assert outcome.told.keys() == set(TOGETHER)


def test_what_is_large_once_it_is_inflated_is_nobody_elses_trouble(serve: Serve) -> None:
    outcome = trial(serve, *(ATTACKS[name] for name in INFLATED), more_flags=(f"--fanout={FANOUTS[0]}",))
    assert not outcome.faults, outcome
    assert outcome.told.keys() == set(INFLATED)
