from shared.measure.quota import Quota, in_words, quota_words, throttled_between


def test_what_was_held_back_is_that_between_two_readings() -> None:
    before = [Quota("/a", 0.5, 3, 1000), Quota("/b", 2.0, 9, 9000), Quota("/c", 1.0, 5, 5000), Quota("/d", 1.0, 1, 10)]
    after = [
        Quota("/a", 0.5, 13, 401_000),
        Quota("/b", 2.0, 9, 9000),
        Quota("/c", 1.0, 2, 100),  # made anew
        Quota("/d", None, 2, 20),
        Quota("/e", 4.0, 1, 1),  # set meanwhile
    ]
    assert throttled_between(before, after) == [
        Quota("/a", 0.5, 10, 400_000),
        Quota("/d", 1.0, 1, 10),
        Quota("/e", 4.0, 1, 1),
    ]
    assert throttled_between(before, before) == throttled_between(before, []) == []


def test_words() -> None:
    assert in_words([Quota("/a", 0.5, 10, 1_400_000)]) == "for 1,400.0 ms in 10 periods (quota of 0.5 cores, group /a)"
    assert in_words([Quota("/a", 0.5, 1, 40)]).startswith("for 0.0 ms in 1 period (")
    assert "which is gone" in quota_words(Quota("/a", None, 1, 1))
