from tickbench.conformance.first_offenders import FirstOffenders
from tickbench.conformance.shapes import decode


def seen(*texts: str) -> FirstOffenders:
    offenders = FirstOffenders()
    for text in texts:
        offenders.note_text(text, decode(text))
    return offenders


def test_sound_messages_leave_their_names_only() -> None:
    offenders = seen('[["tick",1,2,3]]', '[["tick",2,3,4],["reset_world"]]')
    assert offenders == FirstOffenders(seen={"tick", "reset_world"})


def test_the_first_offender_of_each_kind_is_kept() -> None:
    offenders = seen("hello", "world", '[["pad", "x"]]', '[["tick",1]]', '[["tick",2]]', '[["hello",1]]')
    assert offenders.not_commands == "hello"
    assert offenders.spaced == '[["pad", "x"]]'
    assert offenders.flaws.keys() == {"tick"}
    assert offenders.flaws["tick"].startswith("['tick', 1]: ")
    assert offenders.unknown == {"hello": "['hello', 1]"}


def test_a_frame_is_blamed_once() -> None:
    offenders = FirstOffenders()
    offenders.note_frame("a masked frame")
    offenders.note_frame("another")
    assert offenders.frame_flaw == "a masked frame"
