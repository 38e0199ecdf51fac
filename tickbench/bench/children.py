"""Start a server and its clients as two processes, and have one of them time one block after the other."""

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from shared.measure.blocks import Block, Timed, one_line, read_timed
from tickbench.bench.talkers import ReadBlock, ReadTimed
from tickbench.children.commands import python_command, undisturbed_environment
from tickbench.children.processes import Child, Nursery
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

    def __init__(
        self, nursery: Nursery, pinning: Pinning, scratch: Path, arm: str, command: Sequence[str], readers: int
    ) -> None:
        number = len(list(scratch.iterdir()))
        self._bench, place = _serve(nursery, pinning, scratch / f"{number}-bench", f"bench of {arm}", command)
        command = [*python_command("tickbench.bench.readers"), *place, str(readers)]
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


class ReadChild:
    """
    A server on its core, which stands still while it is not timed; its clients are on the generator's.

    Raises:
        RunFailedError: it does not start.

    """

    def __init__(
        self, nursery: Nursery, pinning: Pinning, scratch: Path, arm: str, command: Sequence[str], connections: int
    ) -> None:
        number = len(list(scratch.iterdir()))
        self._server, place = _serve(nursery, pinning, scratch / f"{number}-server", f"server of {arm}", command)
        talkers = [*python_command("tickbench.bench.talkers"), *place, str(connections), str(self._server.pid)]
        self._talkers = nursery.start(
            f"clients of {arm}", talkers, log=scratch / f"{number}-talkers", cpus=pinning.generator, talks=True
        )
        self._talkers.hear(START_LIMIT_S)
        self._server.stand_still()

    def time(self, blocks: Sequence[ReadBlock]) -> list[ReadTimed]:
        """
        Have blocks timed.

        Raises:
            RunFailedError: one could not be.

        """
        self._server.wake()
        try:
            return [self._time(block) for block in blocks]
        finally:
            self._server.stand_still()

    # Private methods

    def _time(self, block: ReadBlock) -> ReadTimed:
        self._talkers.say(msgspec.json.encode(block).decode() + "\n")
        line = self._talkers.hear(BLOCK_LIMIT_S)
        try:
            return msgspec.json.decode(line, type=ReadTimed)
        except msgspec.MsgspecError as error:
            raise RunFailedError(f"the {self._talkers.name} answered {line!r}: {error}") from error


def _serve(
    nursery: Nursery, pinning: Pinning, log: Path, name: str, command: Sequence[str]
) -> tuple[Child, Sequence[str]]:
    """Start a server; return it, and where it listens: host and port."""
    child = nursery.start(
        name,
        list(command),
        log=log,
        cpus=pinning.server,
        environment=undisturbed_environment(),
        talks=True,
    )
    ready = LISTENS.match(child.hear(START_LIMIT_S))
    if ready is None:
        raise RunFailedError(f"the {name} does not say where it listens")
    return child, ready.groups()
