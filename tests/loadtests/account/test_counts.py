from typing import Any

import msgpack  # type: ignore[import-untyped] # Locust's, and as it comes
import msgspec
import pytest

from loadtests.account.counts import MAX_REASONS, Accounts, Additive, StageAccounts, count_text
from loadtests.account.worker_record import Figures
from loadtests.receive.endings import Fate
from loadtests.run.messages import MessageError, decode, encode
from shared.measure.histogram import Histogram


def filled(kind: type[Any], seed: int) -> Any:
    """Return accounts of which every figure is another number."""
    accounts = kind()
    for number, item in enumerate(msgspec.structs.fields(kind), start=1):
        value = getattr(accounts, item.name)
        if isinstance(value, Histogram):
            for us in (0, seed * number, 1000 * seed * number, 70_000_000):
                value.record(us)
        elif isinstance(value, dict):
            key: Any = 1000 + seed if item.name == "close_codes" else f"why {seed}"
            value.update({key: number, (1000 if item.name == "close_codes" else "same"): seed})
        else:
            setattr(accounts, item.name, type(value)(seed * 100 + number))
    return accounts


def travelled(sent: Any, kind: Any = None) -> Any:
    """Return what arrives when a message, or a part of one, is sent from one process to another, as Locust does."""
    arrived = msgpack.loads(msgpack.dumps(encode(sent)), raw=False, strict_map_key=False)
    return decode(arrived, kind or type(sent))


@pytest.mark.parametrize("kind", [Accounts, StageAccounts, Figures])
def test_they_travel_without_loss(kind: type[Additive]) -> None:
    for accounts in (kind(), filled(kind, 3)):
        again = travelled(accounts)
        assert type(again) is kind
        assert encode(again) == encode(accounts)


def test_what_came_over_the_wire_counts_on() -> None:
    accounts, again = filled(Accounts, 3), travelled(filled(Accounts, 3))
    for each in (accounts, again):
        each.count_end(Fate.REFUSED, "why 3")
        each.close_codes[1003] += 1
        each.tick_lateness.record(5)
    assert encode(again) == encode(accounts)


@pytest.mark.parametrize("kind", [Accounts, StageAccounts, Figures])
def test_adding_counts_all_that_both_counted(kind: type[Additive]) -> None:
    one, other = filled(kind, 1), filled(kind, 2)
    before = encode(other)
    one.add(other)
    assert encode(other) == before, "the other stays as it is"
    for number, item in enumerate(msgspec.structs.fields(kind), start=1):
        value = getattr(one, item.name)
        if isinstance(value, Histogram):
            both = Histogram()
            for us in (0, number, 1000 * number, 70_000_000, 0, 2 * number, 2000 * number, 70_000_000):
                both.record(us)
            assert value.summary() == both.summary()
        elif isinstance(value, dict):
            same = 1000 if item.name == "close_codes" else "same"
            assert sorted(value.values()) == sorted([number, number, 3])
            assert value[same] == 3
        elif item.name == "longest_silence_us":
            assert value == 200 + number, "the longer one"
        else:
            assert value == 300 + 2 * number


def test_a_histogram_that_was_mangled_on_the_way_is_refused() -> None:
    sent = msgspec.msgpack.decode(encode(Accounts()))
    sent["pdv"]["hdr"] = "????"
    with pytest.raises(MessageError, match="no message of this load test: not an HDR histogram"):
        decode(msgspec.msgpack.encode(sent), Accounts)


def test_ends_are_counted_by_fate_and_by_reason() -> None:
    accounts = Accounts()
    for fate, why in (
        (Fate.REFUSED, "HTTP status 503"),
        (Fate.CLOSED_EARLY, "close 1013"),
        (Fate.REFUSED, "connection refused"),
        (Fate.REFUSED, "HTTP status 503"),
        (Fate.TIMED_OUT, "no tick frame in time"),
        (Fate.LEFT, "left"),
    ):
        accounts.count_end(fate, why)
    assert accounts.fates == {"refused": 3, "closed early": 1, "timed out": 1, "left": 1}
    assert accounts.reasons(Fate.REFUSED) == {"HTTP status 503": 2, "connection refused": 1}
    assert list(accounts.reasons(Fate.REFUSED)) == ["HTTP status 503", "connection refused"]
    assert accounts.reasons(Fate.OWN_LIMIT) == {}
    assert accounts.in_words(Fate.REFUSED, Fate.TIMED_OUT) == (
        "2 x HTTP status 503, 1 x connection refused, 1 x no tick frame in time"
    )
    assert accounts.in_words(Fate.OWN_LIMIT) == ""


def test_settled_is_who_is_connected_or_never_will_be() -> None:
    accounts = Accounts(requested=9, connected=4)
    for fate in Fate:
        accounts.count_end(fate, "")
    assert accounts.settled == 4 + 3, "those that closed or left had been connected"


def test_expected_is_received_and_missing() -> None:
    assert Accounts(received=7, missing=2, duplicate=5, out_of_order=1).expected == 9


def test_a_server_cannot_make_up_texts_without_end() -> None:
    accounts = Accounts()
    for number in range(3 * MAX_REASONS):
        count_text(accounts.told, f"text {number}")
        accounts.count_end(Fate.REFUSED, f"close {number}")
    count_text(accounts.told, "text 0")
    assert len(accounts.told) == len(accounts.ends) == MAX_REASONS + 1
    assert accounts.told["others"] == accounts.ends["others"] == 2 * MAX_REASONS
    assert accounts.told["text 0"] == 2
    assert sum(accounts.told.values()) == 3 * MAX_REASONS + 1
    assert accounts.fates == {"refused": 3 * MAX_REASONS}
