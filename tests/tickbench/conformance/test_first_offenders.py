from tickbench.conformance.first_offenders import FirstOffenders
from tickbench.conformance.shapes import decode


def seen(*texts: str) -> FirstOffenders:
    ledger = FirstOffenders()
    for text in texts:
        ledger.note_text(text, decode(text))
    return ledger


def test_sound_messages_leave_counts_only() -> None:
    ledger = seen('[["tick",1,2,3]]', '[["tick",2,3,4],["reset_world"]]')
    assert ledger == FirstOffenders(messages=2, commands={"tick": 2, "reset_world": 1})


def test_the_first_offender_of_each_kind_is_kept() -> None:
    ledger = seen("hello", "world", '[["pad", "x"]]', '[["tick",1]]', '[["tick",2]]', '[["hello",1]]')
    assert ledger.not_commands == "hello"
    assert ledger.spaced == '[["pad", "x"]]'
    assert ledger.flaws.keys() == {"tick"}
    assert ledger.flaws["tick"].startswith("['tick', 1]: ")
    assert ledger.unknown == {"hello": "['hello', 1]"}


def test_a_frame_is_blamed_once() -> None:
    ledger = FirstOffenders()
    ledger.note_frame("a masked frame")
    ledger.note_frame("another")
    assert ledger.frame_flaw == "a masked frame"
