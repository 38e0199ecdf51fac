import socket
import threading

from backends.child import serve
from shared.game.world import Rules
from shared.rooms.game import GameSetup, Stepped
from shared.rooms.remote import (
    Did,
    Failed,
    Forget,
    GameAnswer,
    MessageReader,
    Open,
    TakeStep,
    Text,
    decode_answer,
    encode_message,
)
from shared.system.heap import ENDINGS, Heap


def test_what_can_t_be_read_of_one_room_ends_no_other() -> None:
    ours, theirs = socket.socketpair()
    child = threading.Thread(target=serve, args=(theirs, Heap()))
    child.start()
    try:
        rows = [("ann", "many"), (None, 3)]
        bad = Open(1, GameSetup("den", "0", Rules(), rows))  # type: ignore[arg-type] # that is the fault
        ours.settimeout(10)
        ours.sendall(encode_message(bad))
        ours.sendall(encode_message(Open(2, GameSetup("main", "0", Rules(), []))) + encode_message(TakeStep(2, [])))
        reader = MessageReader()
        answers: list[GameAnswer] = []
        while len(answers) < 3:
            answers += [decode_answer(body) for body in reader.feed(ours.recv(65536))]
    finally:
        ours.close()
        child.join(10)
        theirs.close()
    failed, opened, stepped = answers
    assert isinstance(failed, Failed)
    assert "ValidationError" in failed.traceback
    assert opened == Text()
    assert isinstance(stepped, Did)
    assert isinstance(stepped.step, Stepped)


def test_what_rooms_held_is_given_back_when_many_have_ended() -> None:
    given_back: list[bool] = []
    for endings in (ENDINGS - 1, ENDINGS):
        assert not given_back
        ours, theirs = socket.socketpair()
        with theirs, ours:
            ours.sendall(b"".join(encode_message(Forget(game)) for game in range(endings)))
            ours.shutdown(socket.SHUT_WR)
            serve(theirs, Heap(lambda: given_back.append(True)))
    assert given_back
