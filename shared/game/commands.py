"""The commands to the rules: what players ask for, and what is found out about the scores of before."""

import msgspec


class Join(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="join"):
    """Put the player's snake in the field; ignored while it lives or waits to be born."""

    player_id: int
    name: str


class Turn(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="turn"):
    """Turn the player's snake; ``key`` is a key code of :data:`shared.game.snake.DIRECTIONS`."""

    player_id: int
    key: int


class Leave(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="leave"):
    """The player is gone; its snake dies with this step."""

    player_id: int


class Recall(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="recall"):
    """Scores of before the game began, best first, which could not be read until now."""

    rows: list[tuple[str, int]]
    player_id: int = 0  # nobody's


Command = Join | Turn | Leave | Recall
