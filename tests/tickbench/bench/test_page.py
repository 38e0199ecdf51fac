"""The tables and the chart of a bench."""

from rich.console import Console

from shared.measure.blocks import RulesBlock
from tickbench.bench.page import rules_sheet


def test_the_rules_are_compared_block_by_block() -> None:
    ours, theirs = ([RulesBlock(us * 1000, 1, 0) for us in each] for each in ((3, 8), (2, 4)))
    console = Console(width=120)
    with console.capture() as captured:
        console.print(rules_sheet({"10": {"tickbench": ours, "snakepit": theirs}, "100": {"tickbench": ours}}).table())
    rows = [" ".join(line.split()) for line in captured.get().splitlines() if line.lstrip().startswith("10")]
    assert rows == ["10 5.50 [3.00-8.00] 3.00 [2.00-4.00] 1.750 [1.500-2.000]", "100 5.50 [3.00-8.00] - -"]
