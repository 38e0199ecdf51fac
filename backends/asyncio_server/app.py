"""The HTTP routes: the page, the figures, and the WebSocket upgrade."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from shared.measure.prometheus import CONTENT_TYPE
from shared.web import HEADERS, WebFile, load_web_files
from shared.wire.handshake import room_name
from shared.wire.session import ECHO_LIMIT_BYTES, EchoSession, Session

from .connection import Connection
from .host import Host
from .websocket import GameWebSocket, doorkeeper

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HOST: "web.AppKey[Host]" = web.AppKey("host")


class Answer(web.Response):
    """An answer whose sending has a time limit, which aiohttp lacks, and that tells the doorkeeper when it is sent."""

    _host: Host | None = None
    _transport: asyncio.Transport | None = None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Note the server and the transport."""
        if isinstance(request, web.Request):
            self._host = request.app[HOST]
            self._transport = request.transport
        return await super().prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the rest within ``--handshake-limit``, or abort the connection."""
        if self._host is None:
            await super().write_eof(data)
            return
        try:
            async with asyncio.timeout(self._host.config.handshake_limit_s):
                await super().write_eof(data)
        except TimeoutError:
            if self._transport:
                doorkeeper(self._transport).abort()
            raise ConnectionResetError from None
        if self._transport:
            doorkeeper(self._transport).answered()


def create_app(host: Host) -> web.Application:
    """Build the application around ``host``."""
    app = web.Application()
    app[HOST] = host
    app.on_response_prepare.append(hide_versions)
    handlers = {path: page_file(file) for path, file in load_web_files().items()}
    handlers |= {"/healthz": healthz, "/stats": stats, "/metrics": metrics, "/scores": scores, "/connect": upgrade}
    if host.config.echo:
        handlers["/echo"] = upgrade
    for path, handler in handlers.items():
        app.router.add_get(path, handler, allow_head=False)
    return app


async def hide_versions(_: web.Request, answer: web.StreamResponse) -> None:
    """Remove the header in which aiohttp tells its version and the interpreter's."""
    answer.headers.pop("Server", None)


def page_file(file: WebFile) -> Handler:
    """Return a handler that sends one file of the page."""

    async def send(_: web.Request) -> web.StreamResponse:
        headers = {**dict(HEADERS), "Content-Type": f"{file.content_type}; charset=utf-8"}
        return Answer(body=file.body, headers=headers)

    return send


async def healthz(request: web.Request) -> web.StreamResponse:
    """Answer whether the server takes newcomers: 200, or 503 while it stops."""
    if request.app[HOST].core.lobby.open:
        return Answer(text="ok\n")
    return Answer(text="stopping\n", status=503)


async def stats(request: web.Request) -> web.StreamResponse:
    """Send all figures as JSON."""
    host = request.app[HOST]
    body = host.core.reporter.page("/stats", host.clock)
    return Answer(body=body, content_type="application/json")


async def metrics(request: web.Request) -> web.StreamResponse:
    """Send all figures in Prometheus' format."""
    host = request.app[HOST]
    body = host.core.reporter.page("/metrics", host.clock)
    return Answer(body=body, headers={"Content-Type": CONTENT_TYPE})


async def scores(request: web.Request) -> web.StreamResponse:
    """Send the top scores of every room."""
    host = request.app[HOST]
    body = host.core.reporter.page("/scores", host.clock)
    return Answer(body=body, content_type="application/json")


async def upgrade(request: web.Request) -> web.StreamResponse:
    """Refuse the upgrade, or run the connection to its end: a player's, or one of ``/echo``."""
    host, is_echo = request.app[HOST], request.path == "/echo"
    room = None if is_echo else room_name(request.rel_url.raw_query_string)
    limits, address = host.config.limits, request.remote or ""
    sock = request.get_extra_info("socket")
    descriptor = -1 if sock is None else sock.fileno()  # -1: its peer is gone already
    if refusal := host.core.admit(request_headers(request), room, address, host.clock.now_us(), descriptor):
        headers = dict(refusal.headers)
        if "Connection" in headers and not request.keep_alive:
            headers["Connection"] += ", close"  # which aiohttp adds only where there is no Connection header
        return Answer(status=refusal.status, text=f"{refusal.text}\n", headers=headers)
    naive = host.config.fanout == "naive"
    ws = GameWebSocket(
        ECHO_LIMIT_BYTES if is_echo else limits.max_message_bytes, compress=naive, waits_for_peer=naive or is_echo
    )
    try:
        await ws.open(request)
        session = (EchoSession if is_echo else Session)(limits, host.clock.now_us(), host.core.stalls)
        await Connection(host, ws, session, host.find_loop(room, session)).run()
    except ConnectionError:
        pass  # the peer was gone before it had its answer
    finally:
        host.core.release(room, address, host.clock.now_us())
    return ws


def request_headers(request: web.Request) -> dict[str, str]:
    """Return a request's headers, names in lower case."""
    return {name.lower(): ",".join(request.headers.getall(name)) for name in request.headers}
