"""Decide whether a run, or one figure of it, can be trusted, and say of a run why it can't."""

from tickbench.compare.results import Run


def is_valid(run: Run) -> bool:
    """Whether the run's numbers can be trusted."""
    return run.load is not None and run.load.validity.ok


def is_trusted(run: Run, figure: str) -> bool:
    """Whether one figure, by its name in the summary, can be trusted: also of a run that is not valid."""
    return run.load is not None and not run.load.validity.spoiled_by(figure)


def validity_words(run: Run) -> str:
    """Say of one run: valid, with which warnings, not valid and why, or failed and why."""
    if run.load is None:
        return f"failed: {run.reason or 'no reason was kept'}"
    validity = run.load.validity
    notes = [*validity.warnings, *_start_notes(run), *_stop_notes(run)]
    if not validity.ok:
        warnings = f"; warning: {'; '.join(notes)}" if notes else ""
        return f"not valid: {'; '.join(validity.reasons) or 'no reason was given'}{warnings}"
    return f"valid, with a warning: {'; '.join(notes)}" if notes else "valid"


def _start_notes(run: Run) -> list[str]:
    if run.quiet is None or run.quiet.is_quiet:
        return []
    return [f"it began with a core {run.quiet.busy_percent:.0f} % busy, after {run.quiet.waited_s:.0f} s of waiting"]


def _stop_notes(run: Run) -> list[str]:
    if run.server is None or run.server.exit_status == 0:
        return []
    if run.server.was_killed:
        return ["the server did not stop when asked to and was killed"]
    return [f"the server stopped with exit status {run.server.exit_status}"]
