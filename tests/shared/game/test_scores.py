from hypothesis import given
from hypothesis import strategies as st

from shared.game.scores import MAX_TOP_SCORES, TopScores


def test_best_first_one_row_a_name() -> None:
    scores = TopScores()
    assert [scores.add("ann", 5), scores.add("bob", 7), scores.add("ann", 9)] == [True, True, True]
    assert scores.rows == [("ann", 9), ("bob", 7)]


def test_no_score_and_no_better_score_change_nothing() -> None:
    scores = TopScores([("ann", 5)])
    assert [scores.add("bob", 0), scores.add("ann", 5), scores.add("ann", 3)] == [False, False, False]
    assert scores.rows == [("ann", 5)]


def test_of_equal_scores_the_older_comes_first() -> None:
    scores = TopScores([("ann", 5), ("bob", 3)])
    scores.add("eve", 5)
    scores.add("bob", 5)
    assert [name for name, _ in scores.rows] == ["ann", "eve", "bob"]


def test_fifteen_are_kept() -> None:
    scores = TopScores([(f"n{score}", score) for score in range(30, 15, -1)])
    assert not scores.add("late", 16)
    assert scores.add("late", 17)
    assert scores.rows[-2:] == [("n17", 17), ("late", 17)]
    assert len(scores.rows) == MAX_TOP_SCORES == 15


def test_what_was_there_before_comes_under_what_is_there() -> None:
    scores = TopScores([("ann", 5), ("bob", 3)])
    assert scores.recall([("eve", 5), ("ann", 4)])
    assert scores.rows == [("eve", 5), ("ann", 5), ("bob", 3)], "of equal scores the older comes first"
    assert not scores.recall([("eve", 5), ("bob", 1)])
    assert scores.recall([(f"n{number:02}", 9) for number in range(15)])
    assert len(scores.rows) == MAX_TOP_SCORES


def test_the_rows_that_it_starts_with_are_not_shared() -> None:
    rows = [("ann", 5)]
    TopScores(rows).add("bob", 9)
    assert rows == [("ann", 5)]


@given(st.lists(st.tuples(st.sampled_from("abcdefghijklmnopqrst"), st.integers(0, 30)), max_size=60))
def test_they_are_the_best_of_all_names(lives: list[tuple[str, int]]) -> None:
    scores, best = TopScores(), dict[str, int]()
    for name, score in lives:
        before = list(scores.rows)
        assert scores.add(name, score) == (scores.rows != before)
        best[name] = max(score, best.get(name, 0))
    values = sorted((score for score in best.values() if score), reverse=True)[:MAX_TOP_SCORES]
    assert [score for _, score in scores.rows] == values
    assert all(best[name] == score for name, score in scores.rows)
    assert len(dict(scores.rows)) == len(scores.rows)
