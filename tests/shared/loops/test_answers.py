from functools import partial

from shared.loops.answers import Answers


def test_answers_are_called_as_they_come() -> None:
    answers, called = Answers(), list[int]()
    for number in range(3):
        answers.take(partial(called.append, number))
        assert called == list(range(number + 1))


def test_while_held_they_are_kept_in_order() -> None:
    answers, called = Answers(), list[int]()
    answers.hold()
    for number in range(3):
        answers.take(partial(called.append, number))
    assert called == []
    answers.release()
    assert called == [0, 1, 2]
    answers.release()
    assert called == [0, 1, 2]


def test_one_of_them_may_hold_the_rest() -> None:
    answers, called = Answers(), list[str]()
    answers.hold()
    answers.take(lambda: called.append("welcome"))
    answers.take(answers.hold)  # a step, whose frame is to be sent first
    answers.take(lambda: called.append("next"))
    answers.release()
    assert called == ["welcome"]
    answers.take(lambda: called.append("last"))
    answers.release()
    assert called == ["welcome", "next", "last"]
