"""The HTTP side: which path answers what. Knows nothing of what goes on in a connection."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from backends.asyncio_server.connection import Connection
from backends.asyncio_server.websocket import GameWebSocket
from shared.measure.prometheus import CONTENT_TYPE
from shared.web import HEADERS, WebFile, load_web_files
from shared.wire.handshake import DEFAULT_ROOM, room_name
from shared.wire.session import ECHO_LIMIT_BYTES, EchoSession, Session

if TYPE_CHECKING:
    from backends.asyncio_server.server import Server

SERVER: "web.AppKey[Server]" = web.AppKey("server")


def create_app(server: "Server") -> web.Application:
    """Build the application around ``server``."""
    app = web.Application()
    app[SERVER] = server
    for path, file in load_web_files().items():
        app.router.add_get(path, page_file(file), allow_head=False)
    app.router.add_get("/healthz", healthz, allow_head=False)
    app.router.add_get("/stats", stats, allow_head=False)
    app.router.add_get("/metrics", metrics, allow_head=False)
    app.router.add_get("/scores", scores, allow_head=False)
    app.router.add_get("/connect", connect, allow_head=False)
    if server.config.echo:
        app.router.add_get("/echo", echo, allow_head=False)
    return app


def page_file(file: WebFile) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return a handler that sends one file of the page."""

    async def send(_: web.Request) -> web.Response:
        headers = {**dict(HEADERS), "Content-Type": f"{file.content_type}; charset=utf-8"}
        return web.Response(body=file.body, headers=headers)

    return send


async def healthz(request: web.Request) -> web.Response:
    """Say whether newcomers are taken."""
    if request.app[SERVER].core.lobby.open:
        return web.Response(text="ok\n")
    return web.Response(text="stopping\n", status=503)


async def stats(request: web.Request) -> web.Response:
    """Send all figures as JSON."""
    server = request.app[SERVER]
    body = server.core.reporter.stats_json(server.clock.now_us())
    return web.Response(body=body, content_type="application/json")


async def metrics(request: web.Request) -> web.Response:
    """Send all figures as Prometheus reads them."""
    server = request.app[SERVER]
    body = server.core.reporter.metrics_text(server.clock.now_us())
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})


async def scores(request: web.Request) -> web.Response:
    """Send the top scores of every room."""
    return web.Response(body=request.app[SERVER].core.reporter.scores_json(), content_type="application/json")


async def connect(request: web.Request) -> web.StreamResponse:
    """Play: the WebSocket of the game."""
    return await upgrade(request, room_name(request.rel_url.raw_query_string), is_echo=False)


async def echo(request: web.Request) -> web.StreamResponse:
    """Send everything back: a WebSocket for conformance and baseline runs."""
    return await upgrade(request, DEFAULT_ROOM, is_echo=True)


async def upgrade(request: web.Request, room: str, *, is_echo: bool) -> web.StreamResponse:
    """Refuse the upgrade, or run the connection to its end."""
    server = request.app[SERVER]
    limits, address = server.config.limits, request.remote or ""
    headers = {name.lower(): ",".join(request.headers.getall(name)) for name in request.headers}
    if refusal := server.core.admit(headers, room, address, server.clock.now_us()):
        return web.Response(status=refusal.status, text=f"{refusal.text}\n", headers=dict(refusal.headers))
    naive = server.config.fanout == "naive"
    ws = GameWebSocket(
        ECHO_LIMIT_BYTES if is_echo else limits.max_message_bytes, compress=naive, waits_for_peer=naive or is_echo
    )
    try:
        await ws.open(request)
        session = (EchoSession if is_echo else Session)(limits, server.clock.now_us())
        await Connection(server, ws, session, None if is_echo else server.room_loop(room)).run()
    except ConnectionError:
        ws.abort()  # the peer was gone before it had its answer
    finally:
        server.core.release(room, address, server.clock.now_us())
    return ws
