"""The HTTP routes: the page, the figures, and the WebSocket upgrade."""

from collections.abc import Callable

from flask import Flask, Response, current_app, request

from shared.measure.prometheus import CONTENT_TYPE
from shared.web import HEADERS, WebFile, load_web_files
from shared.wire.handshake import room_name
from shared.wire.session import EchoSession, Session

from .connection import Connection
from .host import Host

HOST = "host"


def create_app(host: Host) -> Flask:
    """Build the application around ``host``."""
    app = Flask(__name__, static_folder=None)
    app.extensions[HOST] = host
    for path, file in load_web_files().items():
        app.add_url_rule(path, path, page_file(file))
    app.add_url_rule("/healthz", view_func=healthz)
    app.add_url_rule("/stats", view_func=stats)
    app.add_url_rule("/metrics", view_func=metrics)
    app.add_url_rule("/scores", view_func=scores)
    app.add_url_rule("/connect", "connect", upgrade, websocket=True)
    if host.config.echo:
        app.add_url_rule("/echo", "echo", upgrade, websocket=True)
    return app


def page_file(file: WebFile) -> Callable[[], Response]:
    """Return a handler that sends one file of the page."""

    def send() -> Response:
        return Response(file.body, headers=HEADERS, content_type=f"{file.content_type}; charset=utf-8")

    return send


def healthz() -> Response:
    """Answer whether the server takes newcomers: 200, or 503 while it stops."""
    if this_host().core.lobby.open:
        return Response("ok\n", content_type="text/plain; charset=utf-8")
    return Response("stopping\n", status=503, content_type="text/plain; charset=utf-8")


def stats() -> Response:
    """Send all figures as JSON."""
    host = this_host()
    body = host.core.reporter.page("/stats", host.clock)
    return Response(body, content_type="application/json")


def metrics() -> Response:
    """Send all figures in Prometheus' format."""
    host = this_host()
    body = host.core.reporter.page("/metrics", host.clock)
    return Response(body, content_type=CONTENT_TYPE)


def scores() -> Response:
    """Send the top scores of every room."""
    host = this_host()
    body = host.core.reporter.page("/scores", host.clock)
    return Response(body, content_type="application/json")


def upgrade() -> Response:
    """Run the connection, whose upgrade the handler has made (:mod:`.websocket`): a player's, or one of ``/echo``."""
    host, is_echo = this_host(), request.path == "/echo"
    room = None if is_echo else room_name(request.environ["QUERY_STRING"])
    session = (EchoSession if is_echo else Session)(host.config.limits, host.clock.now_us(), host.core.stalls)
    ws = request.environ["wsgi.websocket"]
    Connection(host, ws, session, host.find_loop(room, session)).run()
    return Response()


def this_host() -> Host:
    """Return the server whose request this is."""
    host: Host = current_app.extensions[HOST]
    return host
