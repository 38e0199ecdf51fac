"""Make the reports of a results folder (HTML, Markdown, CSV, JSON) from its raw data alone."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

import msgspec

from tickbench.compare.results import ResultFolder, Results, check_schema, read_record, read_results, read_unfinished
from tickbench.errors import InputError
from tickbench.report.document import Document, RunLine, make_document
from tickbench.report.markdown import render_markdown
from tickbench.report.page import render_page

PAGE = "report.html"
MARKDOWN = "report.md"
TABLE = "runs.csv"
DOCUMENT = "results.json"


class Report(NamedTuple):
    """What a results folder holds, and what is made of it."""

    results: Results
    document: Document


def build_report(path: Path) -> Report:
    """Write all reports into the folder and return what they say; raise :class:`InputError` if it cannot be used."""
    results = read_results(path)
    _check_last_document(path, results)
    document = make_document(results)
    try:
        text = encode_document(document)
    except (ValueError, msgspec.MsgspecError) as error:
        raise InputError(f"{path} has figures of which no report can be made ({error})") from error
    folder = ResultFolder(path)
    folder.write_text(DOCUMENT, text)
    folder.write_text(TABLE, runs_table(document))
    folder.write_text(MARKDOWN, render_markdown(document))
    folder.write_text(PAGE, render_page(document))
    return Report(results, document)


def read_to_go_on(path: Path) -> Results:
    """Read a folder that runs are to be added to; raise :class:`InputError` if no report could be made of it then."""
    results = read_unfinished(path)
    _check_last_document(path, results)
    return results


def _check_last_document(path: Path, results: Results) -> None:
    """Raise :class:`InputError` if the last report is of a later tickbench, or holds runs of which the file is gone."""
    file = path / DOCUMENT
    if not file.is_file():
        return
    check_schema(file, Document)
    try:
        last = msgspec.json.decode(file.read_bytes(), type=Document)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return  # damaged after its schema tag: it is made anew from the runs
    if gone := {run.number for run in last.runs} - {run.number for run in results.runs}:
        raise InputError(
            f"{file} has run {min(gone)}, of which {path / 'runs'} has no file; the results folder is not whole"
        )


def encode_document(document: Document) -> str:
    """
    Return the document as JSON, after a check that it reads back unchanged.

    Raises:
        ValueError: it does not, such as for a NaN (or msgspec's own error).

    """
    text = msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n"
    if msgspec.json.decode(text, type=Document) != document:
        raise ValueError("the document does not come back from JSON as it was written")
    return text


def read_document(path: Path) -> Document:
    """Read the ``results.json`` of a folder; raise :class:`InputError` with one clear line if it cannot be used."""
    file = path / DOCUMENT
    if not file.is_file():
        raise InputError(f"{path} has no {DOCUMENT}; give a results folder, or make it with tickbench report")
    return read_record(file, Document)


def runs_table(document: Document) -> str:
    """Return ``runs.csv``: a line a run, figures in the units of the summary (RFC 4180)."""
    plain = [name for name in RunLine.__struct_fields__ if name not in {"figures", "trusted"}]
    figures = list(document.runs[0].figures)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*plain, *figures])
    for run in document.runs:
        writer.writerow([*(getattr(run, name) for name in plain), *(run.figures[key] for key in figures)])
    return text.getvalue()
