"""What the load test and the comparison say to each other is what the page says."""

import re
from pathlib import Path

import msgspec

from shared.measure.orders import Answer, AnyOrder, Dropped, Order, Ready, SlotMeasured, Summed, UsersUp, Warmed

PAGE = Path(__file__).parents[3] / "docs" / "measuring.md"


def on_the_page(key: str) -> list[bytes]:
    return [text.encode() for text in re.findall(rf'`(\{{"{key}":[^`]*\}})`', PAGE.read_text("utf-8"))]


def tags(kind: type[Order | Answer]) -> set[object]:
    return {each.__struct_config__.tag for each in kind.__subclasses__()}


def test_each_order_and_each_answer_stands_on_the_page_as_it_is_said() -> None:
    orders = [msgspec.json.decode(text, type=AnyOrder) for text in on_the_page("order")]
    answers = [
        msgspec.json.decode(text, type=Ready | Warmed | SlotMeasured | Dropped | UsersUp | Summed)
        for text in on_the_page("said")
    ]
    assert [msgspec.json.encode(order) for order in orders] == on_the_page("order")
    assert [msgspec.json.encode(answer) for answer in answers] == on_the_page("said")
    assert {order.__struct_config__.tag for order in orders} == tags(Order)
    assert {answer.__struct_config__.tag for answer in answers} == tags(Answer)
