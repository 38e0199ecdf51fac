"""Starts the gevent server: ``python -m backends.gevent_server``."""

import sys

from shared.system.packages import needed_by

with needed_by("the backend gevent", "server"):
    # First of all: what is imported before the patch keeps the blocking socket, threading and time.
    from gevent import monkey

    monkey.patch_all()

    from shared.server import flagcheck
    from shared.server.config import parse_arguments

    from .server import choose_event_loop, load_framework, serve

if __name__ == "__main__":
    if flagcheck.is_check(sys.argv[1:]):
        raise SystemExit(flagcheck.answer("gevent", choose_event_loop, load_framework))
    config = parse_arguments("gevent")
    raise SystemExit(serve(config))
