"""Whatever one peer does, good players hear every tick, newcomers come in, and the server stops when it is told to."""

import pytest

from tests.conftest import Serve
from tests.support.attacks.kinds import ATTACKS, SHORT
from tests.support.attacks.trial import Outcome, Sizes, try_attack

pytestmark = pytest.mark.differs()

SIZES = Sizes(players=5, quiet_s=0.6, attack_s=1.0, after_s=0.6, is_full=False)


def trial(serve: Serve, name: str) -> Outcome:
    attack = ATTACKS[name]
    # No tick budget: what other tests make the machine do must not refuse anybody here.
    with serve("--tick-budget", "0", *attack.flags, logs=True) as server:
        outcome = try_attack(attack, server, SIZES)
        assert "Traceback" not in server.log, server.log
    return outcome


@pytest.mark.parametrize("name", SHORT)
def test_an_attack_is_nobody_elses_trouble(serve: Serve, name: str) -> None:
    outcome = trial(serve, name)
    if outcome.faults:  # which a busy machine can make once
        outcome = trial(serve, name)
    assert not outcome.faults, outcome
    assert outcome.told["dialled"]
