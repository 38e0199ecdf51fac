"""Makes the reports of a results folder, from its raw data alone."""

from pathlib import Path

from tickbench.errors import InputError
from tickbench.report.markdown import render_markdown
from tickbench.report.page import render_page
from tickbench.results import ResultFolder, Results, read_results

PAGE = "report.html"
MARKDOWN = "report.md"


def build_report(path: Path) -> Results:
    """Write both reports into the folder and return its results; raise :class:`InputError` if it cannot be used."""
    results = read_results(path)
    folder = ResultFolder(path)
    try:
        folder.write_text(PAGE, render_page(results))
        folder.write_text(MARKDOWN, render_markdown(results))
    except OSError as error:
        raise InputError(f"the report cannot be written to {path} ({error.strerror}); make it writable") from error
    return results
