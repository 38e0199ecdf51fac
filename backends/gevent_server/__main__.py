"""Starts this backend's server: ``python -m backends.gevent_server``."""

from shared.system.packages import needed_by

with needed_by("the backend gevent", "server"):
    # First of all: what is imported before the patch keeps the blocking socket, threading and time.
    from gevent import monkey

    monkey.patch_all()

    from shared.server import flagcheck
    from shared.server.gate import load_framework

    from .server import choose_event_loop, serve

if __name__ == "__main__":
    raise SystemExit(flagcheck.run("gevent", serve, choose_event_loop, load_framework))
