from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.game.commands import Join, Leave, Recall, Turn
from shared.game.world import Rules
from shared.rooms.game import Game, GameSetup, Newcomer
from shared.rooms.remote import (
    Did,
    Failed,
    Forget,
    GameRequest,
    Games,
    LookAtField,
    MessageReader,
    Open,
    TakeStep,
    Text,
    Welcome,
    decode_answer,
    decode_request,
    encode_message,
)

SETUP = GameSetup("den", "seed", Rules(30, 20), [("old", 5)])
REQUESTS: list[GameRequest] = [
    Open(7, SETUP),
    TakeStep(7, [Join(1, "ann"), Turn(1, 37), Leave(2), Recall([("old", 9)])]),
    Welcome(7, Newcomer(2, "bob")),
    LookAtField(7),
    Forget(7),
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_requests_arrive_as_they_were(request_: GameRequest) -> None:
    (body,) = MessageReader().feed(encode_message(request_))
    assert decode_request(body) == request_


def test_answers_arrive_as_they_were() -> None:
    game = Game(SETUP)
    for answer in (Text(b"[1]"), Did(game.step([Join(1, "ann")])), Did(game.step([Leave(1)])), Failed("why")):
        (body,) = MessageReader().feed(encode_message(answer))
        assert decode_answer(body) == answer


@given(st.lists(st.binary(max_size=300), max_size=8), st.data())
def test_any_chunking_gives_the_same_bodies(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(len(body).to_bytes(4) + body for body in bodies)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    reader = MessageReader()
    edges = [0, *cuts, len(stream)]
    chunks = [stream[first:last] for first, last in pairwise(edges)]
    assert [body for chunk in chunks for body in reader.feed(chunk)] == bodies


def test_a_game_elsewhere_is_the_game_that_it_would_be_here() -> None:
    games, game = Games(), Game(SETUP)
    assert games.answer(Open(7, SETUP)) == Text()
    for inputs in ([Join(1, "ann")], [], [Turn(1, 38)], [], [Leave(1)]):
        assert games.answer(TakeStep(7, list(inputs))) == Did(game.step(list(inputs)))
        assert games.answer(Welcome(7, Newcomer(2, "bob"))) == Text(game.welcome(Newcomer(2, "bob")))
        assert games.answer(LookAtField(7)) == Text(game.look())


def test_a_game_that_is_forgotten_or_was_never_there_is_no_game() -> None:
    games = Games()
    games.answer(Open(7, SETUP))
    assert games.answer(Forget(7)) == Text()
    with pytest.raises(KeyError):
        games.answer(LookAtField(7))
    assert games.answer(Forget(7)) == Text()


def test_a_room_that_is_opened_again_has_a_game_of_its_own() -> None:
    games = Games()
    games.answer(Open(7, SETUP))
    empty = games.answer(LookAtField(7))
    games.answer(TakeStep(7, [Join(1, "ann")]))
    games.answer(Open(8, SETUP))
    assert games.answer(LookAtField(7)) != empty
    games.answer(Forget(7))  # which may come late
    assert games.answer(LookAtField(8)) == empty
