"""``tickbench report``: rebuild the report of a results folder."""

from pathlib import Path

import click

from tickbench.report.build import PAGE, build_report


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def report(folder: Path) -> None:
    """Rebuild the report of a results folder from its raw data."""
    build_report(folder)
    click.echo(f"report: {folder / PAGE}")
