"""Starts the asyncio server: ``python -m backends.asyncio_server``."""

import sys

from shared.system.packages import needed_by

with needed_by("the backend asyncio", "server"):
    from shared.server import flagcheck
    from shared.server.config import parse_arguments

    from .server import choose_event_loop, load_framework, serve

if __name__ == "__main__":
    if flagcheck.is_check(sys.argv[1:]):
        raise SystemExit(flagcheck.answer("asyncio", choose_event_loop, load_framework))
    config = parse_arguments("asyncio")
    raise SystemExit(serve(config))
