import msgspec
import pytest

from shared.game.changes import (
    CellChanged,
    Change,
    PlayerDied,
    PlayerJoined,
    PlayerScored,
    TopScoresListed,
    WorldReset,
)


@pytest.mark.parametrize(
    ("change", "command"),
    [
        (CellChanged(3, 4, "%", 2), b'["render",3,4,"%",2]'),
        (WorldReset(), b'["reset_world"]'),
        (PlayerJoined(7, 'a"b', 2, 5), b'["p_joined",7,"a\\"b",2,5]'),
        (PlayerScored(7, 12), b'["p_score",7,12]'),
        (PlayerDied(7), b'["p_gameover",7]'),
        (TopScoresListed([("ann", 9, 1), ("bob", 3, 2)]), b'["top_scores",[["ann",9,1],["bob",3,2]]]'),
    ],
)
def test_a_change_is_a_command_of_the_protocol(change: Change, command: bytes) -> None:
    assert msgspec.json.encode(change) == command
