"""Orders are read a line at a time, however they come, and what is none is said in one line."""

import os
from collections.abc import Iterator
from contextlib import suppress

import pytest

from loadtests.run.orders import MAX_LINE_BYTES, OrderError, OrderLines, say
from shared.measure.orders import (
    AnyOrder,
    DropOrder,
    EndOrder,
    SlotMeasured,
    SlotOrder,
    SumOrder,
    UsersOrder,
    WarmOrder,
)


@pytest.fixture
def pipe() -> Iterator[tuple[OrderLines, int]]:
    reading, writing = os.pipe()
    yield OrderLines(reading), writing
    for descriptor in (reading, writing):
        with suppress(OSError):  # a test may have closed it
            os.close(descriptor)


def test_orders_come_in_pieces_and_together(pipe: tuple[OrderLines, int]) -> None:
    orders, writing = pipe
    assert orders.next(0.01) is None
    os.write(writing, b'{"order":"warm","sec')
    assert orders.next(0.01) is None
    os.write(writing, b'onds":2.5}\n{"order":"slot","seconds":1}\n{"order":"users","number":600}\n{"order":"sum"}\n')
    os.write(writing, b'{"order":"end"}\n')
    got: list[AnyOrder | None] = [orders.next(0.01) for _ in range(5)]
    assert got == [WarmOrder(2.5), SlotOrder(1.0), UsersOrder(600), SumOrder(), EndOrder()]
    assert orders.next(0.01) is None


def test_who_runs_at_the_same_time_is_named_where_anybody_does(pipe: tuple[OrderLines, int]) -> None:
    orders, writing = pipe
    os.write(writing, b'{"order":"warm","seconds":2,"beside":[7,8]}\n{"order":"slot","seconds":1,"beside":[9]}\n')
    os.write(writing, b'{"order":"slot","seconds":1}\n{"order":"drop"}\n')
    got: list[AnyOrder | None] = [orders.next(0.01) for _ in range(4)]
    assert got == [WarmOrder(2, [7, 8]), SlotOrder(1, [9]), SlotOrder(1, []), DropOrder()]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"slot",
        b"[]",
        b'{"order":"dance"}',
        b'{"order":"slot"}',
        b'{"order":"slot","seconds":0}',
        b'{"order":"slot","seconds":1e9}',
        b'{"order":"slot","seconds":null}',
        b'{"order":"slot","seconds":1,"twice":true}',
        b'{"order":"slot","seconds":1,"beside":[0]}',
        b'{"order":"slot","seconds":1,"beside":7}',
        b'{"order":"drop","number":1}',
        b'{"order":"users","number":0}',
        b'{"order":"users","number":1.5}',
        b"\xff",
        b"[" * 10_000,
    ],
)
def test_what_is_no_order_is_said_in_one_line(pipe: tuple[OrderLines, int], line: bytes) -> None:
    orders, writing = pipe
    os.write(writing, line + b"\n")
    with pytest.raises(OrderError, match="no order on stdin: ") as raised:
        orders.next(0.01)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 1000


def test_an_order_has_an_end(pipe: tuple[OrderLines, int]) -> None:
    orders, writing = pipe
    half = b"x" * (MAX_LINE_BYTES // 2)
    for _ in range(2):
        os.write(writing, half)
        assert orders.next(0.01) is None
    os.write(writing, half)
    with pytest.raises(OrderError, match=f"longer than {MAX_LINE_BYTES} bytes"):
        orders.next(0.01)


def test_that_nobody_orders_any_more_is_an_error_and_no_waiting(pipe: tuple[OrderLines, int]) -> None:
    orders, writing = pipe
    os.write(writing, b'{"order":"end"')
    os.close(writing)
    with pytest.raises(OrderError, match="ended before the order to end"):
        orders.next(60)


def test_an_answer_is_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    say(SlotMeasured(3, ["the hypervisor stole 3.1 %"], 3.1, None))
    assert capfd.readouterr().out == (
        '{"said":"slot","number":3,"spoiled":["the hypervisor stole 3.1 %"],"steal_percent":3.1,"core_gap_ms":null}\n'
    )
