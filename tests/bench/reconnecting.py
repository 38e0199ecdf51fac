"""A load whose users come back when they are cut off, beside a cluster to which something is done meanwhile."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.measure.histogram import Histogram
from shared.measure.summary import LoadSummary, ReturnFigures, read_summary
from tests.support.server import wait_until

FLAGS = ("--tick-rate", "20", "--bots", "10", "--seed", "20", "--tick-budget", "0")
WARM_UP_S = 2.0
CONNECT_LIMIT_S = 60.0
SLACK_S = 60.0
NOT_TRUSTED = 3
"""Exit status where times can't be trusted, as where servers, HAProxy and load share two cores."""


class Load:
    """A load test that runs; :meth:`summary` waits for its end."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, duration_s: float) -> None:
        self.process = process
        self._folder = folder
        self._duration_s = duration_s

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text("utf-8", "replace")

    def wait_for_window(self) -> None:
        """Wait until all are connected and the measured window is open."""
        wait_until(lambda: " connected" in self.log or self.process.poll() is not None, CONNECT_LIMIT_S)
        time.sleep(WARM_UP_S + 0.5)

    def summary(self) -> LoadSummary:
        status = self.process.wait(WARM_UP_S + self._duration_s + SLACK_S)
        if status not in {0, NOT_TRUSTED}:
            raise SystemExit(f"error: the load test ended with {status}: {self.log.strip()}")
        return read_summary((self._folder / "summary.json").read_bytes())


@contextmanager
def loaded(url: str, scenario: str, users: int, rooms: int, duration_s: float) -> Iterator[Load]:
    """Load a server for the length of a ``with`` block, in so many rooms or some fewer."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "loadtests", url, "--headless", "--scenario", scenario, "--users", str(users)]
        command += ["--room-size", str(-(-users // rooms)), "--warm-up", str(WARM_UP_S), "--duration", str(duration_s)]
        command += ["--out", str(Path(folder) / "summary.json")]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield Load(process, Path(folder), duration_s)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def returns_of(summary: LoadSummary) -> ReturnFigures:
    """Return what became of those who were cut off."""
    if summary.returns is None:
        raise SystemExit("error: the load test did not say who came back")
    return summary.returns


def silence_words(of: Iterable[ReturnFigures]) -> str:
    """Say how long those who came back heard nothing, over all that is given."""
    silence = Histogram()
    for returns in of:
        silence.add(Histogram.from_summary(returns.silence_ms))
    if not silence.count:
        return "nobody came back"
    p50, p99 = (silence.percentile_us(percent) / 1e6 for percent in (50, 99))
    return f"p50 {p50:.2f} s, p99 {p99:.2f} s, max {silence.max_us / 1e6:.2f} s ({silence.count:,} returns)"


def keep(file: Path | None, row: dict[str, Any], summary: LoadSummary) -> None:
    """Append a line of JSON: what was done, and all that the load test says of it."""
    if file is not None:
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({**row, "load": json.loads(summary.to_json())}) + "\n")


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield f"| {' | '.join(titles)} |"
    yield f"|{'---|' * len(titles)}"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"
