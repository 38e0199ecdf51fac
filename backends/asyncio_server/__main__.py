"""Entry point: ``python -m backends.asyncio_server``."""

from backends.asyncio_server.server import serve
from shared.config import parse_arguments

if __name__ == "__main__":
    config = parse_arguments("asyncio")
    raise SystemExit(serve(config))
