from pathlib import Path

import pytest

from shared.server.score_url import ScoreUrl, parse_score_place

PLACES = {
    "scores.db": Path("scores.db"),
    ":memory:": None,
    "redis://localhost": ScoreUrl("redis", "localhost", 6379),
    "redis://127.0.0.1:7000/3": ScoreUrl("redis", "127.0.0.1", 7000, 3),
    "redis://:p%40ss@[::1]/": ScoreUrl("redis", "::1", 6379, 0, None, "p@ss"),
    "redis://ann:secret@cache:1": ScoreUrl("redis", "cache", 1, 0, "ann", "secret"),
    "memcached://cache": ScoreUrl("memcached", "cache", 11211),
}


@pytest.mark.parametrize("text", PLACES)
def test_a_place_is_a_file_or_the_url_of_a_server(text: str) -> None:
    assert parse_score_place(text) == PLACES[text]


@pytest.mark.parametrize(
    "text",
    [
        "redis://",
        "redis://:secret@/0",
        "redis://:secret@cache:port",
        "redis://:secret@cache:0",
        "redis://:secret@cache:70000",
        "redis://:secret@cache/scores",
        "redis://:secret@cache/0?timeout=3",
        "redis://secret@cache",
        "rediss://:secret@cache",
        "memcached://ann:secret@cache",
        "memcached://cache/1",
        "mysql://ann:secret@cache",
    ],
)
def test_what_is_none_is_said_without_its_password(text: str) -> None:
    with pytest.raises(ValueError, match="would be right") as failure:
        parse_score_place(text)
    assert "secret" not in str(failure.value)


def test_no_text_of_it_has_the_password() -> None:
    url = parse_score_place("redis://ann:secret@[::1]:1/2")
    assert str(url) == "redis://[::1]:1/2"
    assert "secret" not in repr(url)
