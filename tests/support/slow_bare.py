"""
A planted truth for ``tickbench bench read``: the bare server, which works a known time before each answer.

``python -m tests.support.slow_bare MILLISECONDS``
"""

import socket
import sys
import time

from tickbench.bench import bare


def slow_down(work_ns: int) -> None:
    """Serve for ever, with ``work_ns`` of CPU time for each message."""

    def answer(sock: socket.socket) -> None:
        done_ns = time.process_time_ns() + work_ns
        while time.process_time_ns() < done_ns:
            pass
        bare.answer(sock)

    bare.serve(answer)


if __name__ == "__main__":
    slow_down(int(sys.argv[1]) * 1_000_000)
