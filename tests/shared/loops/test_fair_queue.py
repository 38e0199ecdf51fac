from shared.loops.fair_queue import FairQueue


def called(line: FairQueue[str]) -> str:
    names = []
    while line:
        names.append(line.first)
        assert line.popleft() == names[-1]
    return "".join(names)


def waiting(newcomers: str = "", others: str = "") -> FairQueue[str]:
    line: FairQueue[str] = FairQueue()
    for name in newcomers:
        line.append(name, is_new=True)
    for name in others:
        line.append(name, is_new=False)
    return line


def test_nobody_waits_at_first() -> None:
    assert not FairQueue[str]()


def test_of_those_alike_who_came_first_is_called_first() -> None:
    assert called(waiting(others="abc")) == "abc"
    assert called(waiting(newcomers="ABC")) == "ABC"


def test_newcomers_and_others_are_called_in_turns() -> None:
    assert called(waiting("ABC", "abcdef")) == "AaBbCcdef"
    assert called(waiting("ABCDEF", "abc")) == "AaBbCcDEF"


def test_a_newcomer_does_not_wait_for_the_others_who_wait() -> None:
    line = waiting(others="abcdef")
    assert line.popleft() == "a"
    line.append("A", is_new=True)
    assert called(line) == "Abcdef"


def test_who_is_put_back_goes_first() -> None:
    line = waiting("AB", "ab")
    first, second = line.popleft(), line.popleft()
    line.put_back([first, second])
    line.append("C", is_new=True)
    assert called(line) == "AaBbC"
