from shared.edges.standing import Standing
from shared.game.changes import PlayerDied, PlayerJoined, PlayerScored, TopScoresListed

ANN, BOB, EVE = PlayerJoined(1, "ann", 1, 0), PlayerJoined(2, "bob", 2, 3), PlayerJoined(3, "eve", 3, 0)
TOP = TopScoresListed([("ann", 9, 1)])


def test_it_says_who_lives_and_who_has_the_best_scores() -> None:
    standing = Standing([ANN, BOB, PlayerScored(1, 7), PlayerDied(2), TOP, EVE])
    assert standing.as_news() == [PlayerJoined(1, "ann", 1, 7), EVE, TOP]


def test_what_is_said_of_strangers_is_dropped() -> None:
    standing = Standing([PlayerDied(5), PlayerScored(6, 4)])
    assert standing.as_news() == [TopScoresListed([])]


def test_what_leads_from_one_to_another_does() -> None:
    before = Standing([ANN, BOB])
    after = Standing([ANN, PlayerScored(1, 4), EVE, TOP])
    news = after.news_since(before)
    assert news == [PlayerDied(2), PlayerScored(1, 4), EVE, TOP]
    before.note(news)
    assert before.as_news() == after.as_news()


def test_one_who_died_and_came_again_with_less_did_both() -> None:
    again = PlayerJoined(2, "bob", 2, 0)
    assert Standing([again]).news_since(Standing([BOB])) == [PlayerDied(2), again]


def test_nothing_leads_from_one_to_itself() -> None:
    assert Standing([ANN, TOP]).news_since(Standing([ANN, TOP])) == []
