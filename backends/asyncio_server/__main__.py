"""Starts this backend's server: ``python -m backends.asyncio_server``."""

from shared.system.packages import needed_by

with needed_by("the backend asyncio", "server"):
    from shared.server import flagcheck
    from shared.server.gate import load_framework

    from .server import choose_event_loop, serve

if __name__ == "__main__":
    raise SystemExit(flagcheck.run("asyncio", serve, choose_event_loop, load_framework))
