"""Which store ``--scores`` opens; none of those over the network has to be there yet."""

from pathlib import Path

import pytest

from shared.rooms.scores import MemoryScores
from shared.server.score_file import FileScores
from shared.server.score_remote import RemoteScores
from shared.server.score_stores import open_scores
from shared.server.score_url import parse_score_place


def test_without_a_place_they_are_in_memory_and_a_path_is_a_file(tmp_path: Path) -> None:
    assert isinstance(open_scores(None, 5), MemoryScores)
    scores = open_scores(tmp_path / "scores.db", 5)
    assert isinstance(scores, FileScores)
    scores.close()


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "memcached://127.0.0.1:1"])
def test_a_url_is_a_server_that_need_not_be_there(url: str) -> None:
    scores = open_scores(parse_score_place(url), 5)
    assert isinstance(scores, RemoteScores)
    assert scores.load("main") == []
    scores.close()
