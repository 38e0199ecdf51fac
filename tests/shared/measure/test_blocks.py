import pytest
from msgspec import MsgspecError

from shared.measure.blocks import Block, ClockBlock, FanoutBlock, Timed, one_line, read_blocks, read_timed, turns

BLOCKS: list[Block] = [FanoutBlock(["raw", "library"], 10, 430), ClockBlock(["time.sleep", "loop"], 40, 59.94, 0, 430)]


def test_blocks_come_back_as_they_were_asked_for() -> None:
    lines = [one_line(block) for block in BLOCKS]
    assert all(line.count("\n") == 1 and line.endswith("\n") for line in lines)
    assert list(read_blocks(lines)) == BLOCKS


def test_an_answer_comes_back() -> None:
    timed = Timed({"raw": [1.5, 2.0], "loop": []})
    assert read_timed(one_line(timed)) == timed


@pytest.mark.parametrize("line", ["", "full", "{}", '{"us": 1}'])
def test_what_is_no_answer_is_refused(line: str) -> None:
    with pytest.raises(MsgspecError):
        read_timed(line)


def test_turns_rotate() -> None:
    assert list(turns(["a", "b", "c"], 4)) == [*"abc", *"bca", *"cab", *"abc"]
    assert list(turns(["a"], 2)) == ["a", "a"]
