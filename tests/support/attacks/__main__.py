"""
One attack, as a process of its own at the lowest priority.

``python -m tests.support.attacks NAME PORT SIZE SECONDS MORE_S ROOM`` prints what came of it, as JSON.
"""

import json
import signal
import sys

from tests.support.attacks.engine import carry_out
from tests.support.attacks.kinds import ATTACKS


def main() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    name, port, size, seconds, more_s, room = sys.argv[1:]
    told = carry_out(ATTACKS[name], ("127.0.0.1", int(port)), int(size), float(seconds), float(more_s), room)
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
