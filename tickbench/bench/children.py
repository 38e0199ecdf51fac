"""Start a bench and the readers of its frames as two processes, and have it time one block after the other."""

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from shared.measure.blocks import Block, Timed, one_line, read_timed
from tickbench.children.commands import python_command, undisturbed_environment
from tickbench.children.processes import Nursery
from tickbench.errors import RunFailedError
from tickbench.machine.pinning import Pinning

START_LIMIT_S = 60.0
BLOCK_LIMIT_S = 120.0
LISTENS = re.compile(r"tickbench \w+ listening on http://([\d.]+):(\d+)$")


class BenchChild:
    """
    A bench with a full room, on the server's core; its readers run on the generator's.

    Raises:
        RunFailedError: it does not start.

    """

    def __init__(self, nursery: Nursery, pinning: Pinning, scratch: Path, bench: Iterable[str], readers: int) -> None:
        module, *flags = bench
        command = [*python_command(module), str(readers), *flags]
        number = len(list(scratch.iterdir()))
        self._bench = nursery.start(
            module,
            command,
            log=scratch / f"{number}-bench",
            cpus=pinning.server,
            environment=undisturbed_environment(),
            talks=True,
        )
        ready = LISTENS.match(self._bench.hear(START_LIMIT_S))
        if ready is None:
            raise RunFailedError(f"{module} does not say where it listens")
        command = [*python_command("tickbench.bench.readers"), *ready.groups(), str(readers)]
        self._readers = nursery.start(
            "readers", command, log=scratch / f"{number}-readers", cpus=pinning.generator, talks=True
        )
        self._readers.hear(START_LIMIT_S)
        self._bench.hear(START_LIMIT_S)

    def time(self, block: Block) -> Timed:
        """
        Have a block timed.

        Raises:
            RunFailedError: it could not be.

        """
        self._bench.say(one_line(block))
        line = self._bench.hear(BLOCK_LIMIT_S)
        try:
            return read_timed(line)
        except msgspec.MsgspecError as error:
            raise RunFailedError(f"the {self._bench.name} answered {line!r}: {error}") from error
