"""Entry point: ``python -m backends.asyncio_server``."""

from shared.packages import needed_by

with needed_by("the backend asyncio"):
    from backends.asyncio_server.server import serve
    from shared.config import parse_arguments

if __name__ == "__main__":
    config = parse_arguments("asyncio")
    raise SystemExit(serve(config))
