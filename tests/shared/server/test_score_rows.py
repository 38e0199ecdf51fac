"""Rows that anybody may have written: what the game could not have saved is left out."""

from shared.server.score_rows import MAX_NAME_BYTES, MAX_SCORE, sound_rows


def test_what_the_game_could_not_have_saved_is_left_out() -> None:
    damaged = [(None, 5), (b"ann", None), (b"\xff", 5), (b"", 5), (b"a" * (MAX_NAME_BYTES + 1), 5)]
    assert sound_rows([*damaged, (b"bob", 0), (b"bob", -1), (b"bob", MAX_SCORE + 1), (b"eve", MAX_SCORE)]) == [
        ("eve", MAX_SCORE)
    ]


def test_of_a_name_the_best_stays_and_of_equal_scores_the_first() -> None:
    assert sound_rows([(b"ann", 1), (b"bob", 2), (b"eve", 2), (b"ann", 3)]) == [("ann", 3), ("bob", 2), ("eve", 2)]
