"""What the decision table is made of: one row a question, one column an arm."""

from msgspec import Struct


class DecisionLine(Struct, frozen=True):
    """One cell of the table: what is to be read at a glance, and what is beside it."""

    text: str
    detail: str = ""
    is_doubtful: bool = False
    """It rests on runs in none of which the figure can be trusted."""
    link: str = ""
    """Where on the page there is more."""


class Question(Struct, frozen=True):
    """One row of the table: a question, and what each arm answers."""

    title: str
    unit: str
    source: str
    """Which part of the suite it is from, and how often that ran."""
    meaning: str
    answers: list[DecisionLine]
    """In the order of the arms."""
    is_fact: bool = False
    """It is not measured: what is known of what an arm stands on."""


class Decision(Struct, frozen=True):
    """The table by which a stack is chosen: a question a row, an arm a column."""

    arms: list[str]
    styles: list[str]
    """Of each arm: as documented, or tuned."""
    questions: list[Question]
