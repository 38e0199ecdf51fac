"""
Reads the orders of a run in slots from stdin, and writes the answers to them to stdout.

Who gives them (``tickbench compare``) may stop this process between an answer and the next order.
"""

import os

import msgspec
from gevent import socket

from shared.measure.orders import Answer, AnyOrder

MAX_LINE_BYTES = 64 * 1024
STDIN, STDOUT = 0, 1

_decoder: msgspec.json.Decoder[AnyOrder] = msgspec.json.Decoder(AnyOrder)


class OrderError(ValueError):
    """There is no such order, or none will come any more; the text says it in one line."""


class OrderLines:
    """Reads orders from a file descriptor while the hub goes on; nobody else may read from it."""

    def __init__(self, descriptor: int = STDIN) -> None:
        self._descriptor = descriptor
        self._begun = b""

    def next(self, wait_s: float) -> AnyOrder | None:
        """
        Return the next order; None if none has come after ``wait_s``.

        Raises:
            OrderError: it is none, or the end has come.

        """
        while b"\n" not in self._begun:
            try:
                socket.wait_read(self._descriptor, wait_s)
            except TimeoutError:
                return None
            data = os.read(self._descriptor, MAX_LINE_BYTES)
            if not data:
                raise OrderError("the orders on stdin ended before the order to end")
            self._begun += data
            if len(self._begun) > MAX_LINE_BYTES:
                raise OrderError(f"an order on stdin is longer than {MAX_LINE_BYTES} bytes")
        line, _, self._begun = self._begun.partition(b"\n")
        try:
            return _decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise OrderError(f"no order on stdin: {line.decode(errors='replace')[:200]!r} ({error})") from error


def say(answer: Answer) -> None:
    """Write an answer to stdout; raises OSError where nobody reads it any more."""
    os.write(STDOUT, msgspec.json.encode(answer) + b"\n")  # at once: what is left in a buffer would fail again at exit
