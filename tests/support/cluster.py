"""A cluster as a child process: started on a free port, watched, and never left behind."""

import json
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from tests.support.server import RunningServer, wait_until, with_speed
from tests.support.warm import python

START_LIMIT_S = 60.0
STOP_LIMIT_S = 30.0
MODULES = ("tickbench.verbs.cluster",)


class RunningCluster(RunningServer):
    """A cluster that has said that it is ready: what is asked of it, HAProxy is asked."""

    expected_log = ""

    def processes(self) -> list[psutil.Process]:
        """Return all processes that work for it: supervisord, HAProxy, servers, the guard."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def server_pids(self) -> list[int]:
        """Return those of the servers."""
        return [each.pid for each in self.processes() if f"backends.{self.backend}_server" in _words(each)]

    def pid_of(self, room: str) -> int:
        """Return which process has a room."""
        answer = self.json(f"/stats?room={room}")
        pid: int = answer["process"]["pid"]
        return pid

    def rooms_apart(self) -> tuple[str, str]:
        """Return two rooms that are in two processes."""
        first, *others = (f"room-{number}" for number in range(100))
        pid = self.pid_of(first)
        return first, next(room for room in others if self.pid_of(room) != pid)

    def json(self, target: str) -> Any:
        answer = self.request(target)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def directly(self, pid: int) -> RunningServer:
        """Return one of its servers, asked without HAProxy."""
        words = _words(psutil.Process(pid))
        line = f"tickbench {self.backend} listening on http://127.0.0.1:{words[words.index('--port') + 1]}"
        return RunningServer(self.backend, self.process, line, self._log)

    def stop(self) -> None:
        """End it as an operator does."""
        if self.process.poll() is None:
            self.end(signal.SIGTERM)

    def end(self, number: int) -> None:
        """Have it end by a signal, and see that it does as promised, with all that worked for it."""
        all_of_it = self.processes()
        assert len(all_of_it) >= 5, "supervisord, HAProxy and its worker, two servers"
        self.hang_up()
        self.signal(number)
        status = self.wait(STOP_LIMIT_S)
        assert status == (-number if number == signal.SIGKILL else 0), self.log
        wait_until(lambda: not any(map(_runs, all_of_it)))
        assert self.log == self.expected_log


@contextmanager
def run_cluster(backend: str, *flags: str, options: Sequence[str] = ()) -> Iterator[RunningCluster]:
    """Run a cluster of two for the length of a ``with`` block; ``flags`` are of its servers, ``options`` its own."""
    words = ["-m", "tickbench", "cluster", backend, "--processes", "2", "--port", "0", *options]
    words += ["--", *with_speed(flags)]
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TICKBENCH_")}
        log = Path(folder) / "stderr"
        with log.open("wb") as stderr:
            process = python(
                words,
                modules=MODULES,
                env={**environment, "TMPDIR": folder},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        cluster = None
        try:
            cluster = RunningCluster(backend, process, ready_line(process, log), log)
            yield cluster
            cluster.stop()
        finally:
            if cluster is not None:
                cluster.hang_up()
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()


def ready_line(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return its ready line, as a single server would say it."""
    assert process.stdout
    assert select.select([process.stdout], [], [], START_LIMIT_S)[0], "no ready line"
    line = process.stdout.readline().decode().rstrip()
    assert line.startswith("tickbench cluster "), log.read_text()
    return line.replace("cluster ", "", 1)


def _words(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []


def _runs(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
