"""
The child process of the ``process`` loops: it holds games and answers requests for them, without an event loop.

``python -m backends.child NICE FD`` adds NICE to its niceness, talks over the socket that it inherits as FD, and ends
when its parent is gone; on Linux at once, whatever it is doing.
"""

import os
import signal
import socket
import sys
import time
import traceback

from shared.rooms.remote import READ_BYTES, Failed, Forget, Games, MessageReader, decode_request, encode_message
from shared.system.child_process import FOR_PARENT
from shared.system.heap import Heap, settle_heap
from shared.system.logs import let_nobody_keep_us
from shared.system.parent import die_with_parent


def serve(sock: socket.socket, heap: Heap) -> None:
    """Answer until the peer is gone."""
    games, reader = Games(), MessageReader()
    while data := sock.recv(READ_BYTES):
        for body in reader.feed(data):
            try:  # to decode it, too: a request of one room that can't be decoded must not end the others
                request = decode_request(body)
                answer = games.answer(request)
                if isinstance(request, Forget):
                    heap.note_end()
            except Exception:  # noqa: BLE001 # the rules; whoever asked ends that room and says why
                answer = Failed(traceback.format_exc())
            sock.sendall(encode_message(answer))
        heap.give_back(time.monotonic_ns() // 1000)


def main() -> None:
    """Serve the socket that was inherited."""
    let_nobody_keep_us()
    os.nice(int(sys.argv[1]))
    for number in FOR_PARENT:
        signal.signal(number, signal.SIG_IGN)  # it acts on them, and may need this process until it has stopped
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FOR_PARENT)
    die_with_parent()  # a step that never ends would never see the end of the socket
    settle_heap()
    with socket.socket(fileno=int(sys.argv[2])) as sock:
        sock.setblocking(True)  # noqa: FBT003 # its parent may have made it non-blocking
        try:
            serve(sock, Heap())
        except ConnectionError:
            return  # its parent is gone


if __name__ == "__main__":
    main()
