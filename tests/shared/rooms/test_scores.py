from shared.rooms.scores import MemoryScores

ROWS = [("ann", 9), ("bob", 9)]


def test_memory_keeps_the_rooms_that_scored_last() -> None:
    scores = MemoryScores(max_rooms=2)
    scores.save("a", ROWS)
    scores.save("b", ROWS)
    scores.save("a", ROWS)
    scores.save("c", ROWS)
    assert [bool(scores.load(room)) for room in "abc"] == [True, False, True]
    for number in range(1000):
        scores.save(f"room {number}", ROWS)
    assert len(scores._rooms) == 2
