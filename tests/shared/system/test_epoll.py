"""However many descriptors are ready, a bounded number of them is returned at once, and the others the next time."""

import os
import selectors

from shared.system.epoll import FewAtOnce


def test_all_have_their_turn() -> None:
    pipes = [os.pipe() for _ in range(7)]
    selector = FewAtOnce(3)
    for reader, writer in pipes:
        selector.register(reader, selectors.EVENT_READ)
        os.write(writer, b"x")
    seen: list[int] = []
    for most in (3, 3, 1):
        ready = [key.fd for key, _ in selector.select(0)]
        assert len(ready) <= 3
        assert len(set(ready) - set(seen)) >= most
        seen += ready
    assert sorted(set(seen)) == sorted(reader for reader, _ in pipes)
    selector.close()
    for fd in sum(pipes, ()):
        os.close(fd)
