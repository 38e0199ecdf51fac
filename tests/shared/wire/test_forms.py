"""The forms in which a text goes out: whoever reads it, by what was agreed on, has the same text."""

import random

import pytest

from shared.wire.deflate import Inflater
from shared.wire.forms import LEAST_BYTES, PLAIN, Texts, World, own_frame
from shared.wire.frames import Opcode, server_frame

TICK = b'[["tick",1,2,3],' + b",".join(b'["render",%d,%d,"@",3]' % (x, x + 1) for x in range(40)) + b"]"
FORMS = range(9, 16)


def read(frame: bytes, form: int) -> bytes:
    """Return the text of a compressed frame, as one reads it who keeps no context."""
    assert frame[0] == 0xC1, "one last frame of a text, and compressed"
    return Inflater(form, 10**6, takes_over=False).inflate(frame[2 if frame[1] < 126 else 4 :])


@pytest.mark.parametrize("form", FORMS)
def test_a_text_is_built_once_a_form(form: int) -> None:
    texts = Texts(TICK)
    assert texts[PLAIN] == server_frame(Opcode.TEXT, TICK)
    assert read(texts[form], form) == TICK
    assert len(texts[form]) < len(TICK) / 2
    assert texts[form] is texts[form]
    assert set(texts) == {PLAIN, form}, "no other is"


def test_no_text_depends_on_another() -> None:
    first = Texts(TICK)[15]
    assert Texts(TICK)[15] == first


@pytest.mark.parametrize("text", [b"[]", TICK[: LEAST_BYTES - 1], random.Random(1).randbytes(500)])
def test_what_gets_no_shorter_goes_out_as_it_is(text: bytes) -> None:
    assert Texts(text)[15] == own_frame(Opcode.TEXT, text, 15) == server_frame(Opcode.TEXT, text)


def test_a_message_of_ones_own_is_compressed_where_that_pays() -> None:
    assert own_frame(Opcode.TEXT, TICK, PLAIN) == server_frame(Opcode.TEXT, TICK)
    assert read(own_frame(Opcode.TEXT, TICK, 15), 15) == TICK
    binary = own_frame(Opcode.BINARY, TICK, 15)
    assert binary[0] == 0xC2


@pytest.mark.parametrize("opcode", [Opcode.CLOSE, Opcode.PING, Opcode.PONG])
def test_a_control_frame_never_is(opcode: Opcode) -> None:
    payload = b"x" * 125
    assert own_frame(opcode, payload, 15) == server_frame(opcode, payload)


@pytest.mark.parametrize("form", [9, 15])
def test_a_world_begins_many_texts_and_is_compressed_once(form: int) -> None:
    field = b'[["world",[' + b",".join(b'["%d",0]' % number for number in range(500)) + b"]]]"
    world = World(field)
    texts = [field, field[:-1] + b',["p_joined",1]]', field[:-1] + b"," + TICK[1:]]
    frames = [world.frame(text, form) for text in texts]
    assert [read(frame, form) for frame in frames] == texts
    assert len(frames[0]) < len(field) / 2
    other = World(b'[["world",[]]]')
    assert other.frame(b'[["world",[]]]', form) == server_frame(Opcode.TEXT, b'[["world",[]]]')
