"""The commands of players to the rules: join, turn, leave."""

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


Command = Join | Turn | Leave
