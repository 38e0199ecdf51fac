"""Command lines for a shell: where what a verb reads from and writes to is set up by redirections."""

import shlex
import sys
from pathlib import Path

WITH_FAKES = Path(__file__).parents[1] / "tickbench" / "fakes" / "tickbench_with_fakes.py"


def tickbench_line(*arguments: str | Path) -> str:
    """Return a line that runs tickbench with the stand-ins for its children."""
    return shlex.join([sys.executable, str(WITH_FAKES), *map(str, arguments)])
