import pytest

from shared.relay.bus import MOST_CHANNEL_BYTES, MOST_PAYLOAD_BYTES, channel_of, check_channel, check_payload


@pytest.mark.parametrize("channel", ["", "x" * (MOST_CHANNEL_BYTES + 1), "é" * MOST_CHANNEL_BYTES])
def test_a_name_that_is_no_channel_s_is_refused(channel: str) -> None:
    with pytest.raises(ValueError, match="a channel's name has 1 to 128 bytes"):
        check_channel(channel)


def test_a_name_and_a_payload_of_the_largest_size_are_not() -> None:
    check_channel("x" * MOST_CHANNEL_BYTES)
    check_payload(bytes(MOST_PAYLOAD_BYTES))
    with pytest.raises(ValueError, match="16777216 bytes at most"):
        check_payload(bytes(MOST_PAYLOAD_BYTES + 1))


def test_a_group_is_a_channel_of_its_own() -> None:
    assert channel_of("den") != channel_of("attic")
    check_channel(channel_of("x" * 64))
