"""``tickbench doctor``: say whether this machine is fit to measure on."""

import click
from rich.console import Console

from tickbench.machine.diagnosis import examine_machine
from tickbench.screen import check_table


@click.command()
def doctor() -> int:
    """Say whether this machine is fit to measure on."""
    checks = examine_machine()
    Console(highlight=False).print(check_table(checks))
    return 1 if any(check.level == "fail" for check in checks) else 0
