from shared.measure.counters import Counters


def test_ends_are_counted_by_the_code_that_we_sent() -> None:
    counters = Counters()
    counters.count_end("1008", dead=False)
    counters.count_end("1001", dead=False)
    counters.count_end("1008", dead=False)
    counters.count_end("peer", dead=False)
    counters.count_end(None, dead=False)
    counters.count_end(None, dead=True)
    report = counters.report()
    assert report["closed"] == {"1001": 1, "1008": 2, "peer": 1}
    assert list(report["closed"]) == ["1001", "1008", "peer"]
    assert report["dead"] == 1


def test_the_report_has_every_counter() -> None:
    counters = Counters(
        accepted=5, frames_sent=8, slow_skips=1, dropped=6, slow_closed=2, busy_closed=7, dead=3, crashed_rooms=4
    )
    counters.turned_away.update([429, 400, 400])
    assert counters.report() == {
        "accepted": 5,
        "frames_sent": 8,
        "slow_skips": 1,
        "dropped": 6,
        "slow_closed": 2,
        "busy_closed": 7,
        "dead": 3,
        "crashed_rooms": 4,
        "closed": {},
        "turned_away": {"400": 2, "429": 1},
        "pages": {path: {"count": 0, "us": 0} for path in ("/stats", "/metrics", "/scores")},
    }


def test_two_servers_share_nothing() -> None:
    Counters().count_end("1001", dead=False)
    assert Counters().report()["closed"] == {}
