"""Starlette, on uvicorn as :mod:`.uvicorn` mends it."""

from email.utils import formatdate
from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.protocols.utils import ClientDisconnected

from shared.server.gate import Page, Seat

from .asgi import AsgiSocket, Library, answer_headers
from .doorkeeper import Doorkeeper
from .uvicorn import UvicornFramework


class StarletteSocket(AsgiSocket):
    """One WebSocket: what its connection has as :class:`PlayerSocket`, where the errors stand."""

    def __init__(self, ws: WebSocket, door: Doorkeeper, seat: Seat) -> None:
        super().__init__(cast("Library", door.library), door, seat, ws.receive)
        self._ws = ws

    async def send_text(self, text: str) -> None:
        """Send a text message the library's own way."""
        try:
            await self._ws.send_text(text)
        except (WebSocketDisconnect, RuntimeError) as error:  # RuntimeError: that was said before
            raise ConnectionResetError from error


async def refuse(request: Request) -> Response:
    """Answer a request whose upgrade the gate refused."""
    return answer_of(request.state.seat)


def answer_of(page: Page) -> Response:
    """Return a page as Starlette has it."""
    return Response(page.body, page.status, {"Date": formatdate(usegmt=True), **dict(page.headers)})


class Framework(UvicornFramework):
    """Starlette as it serves a gate."""

    def application(self) -> Router:
        """Return the application: without Starlette's middleware, as uvicorn answers 500, too."""
        pages = [Route(path, self._page) for path in self._gate.paths]
        upgrades = [WebSocketRoute(path, self._play) for path in self._gate.upgrades]
        refusals = [Route(path, refuse) for path in self._gate.upgrades]
        return Router([*upgrades, *pages, *refusals])

    # Private methods

    async def _page(self, request: Request) -> Response:
        return answer_of(self._gate.page(request.url.path))

    async def _play(self, ws: WebSocket) -> None:
        """Run the seat to its end."""
        seat, door = ws.scope["state"]["seat"], ws.scope["state"]["door"]
        try:
            await ws.accept(headers=answer_headers(seat))
            if door.transport.is_closing():
                raise ClientDisconnected
            await self._gate.run(seat, StarletteSocket(ws, door, seat))
        finally:
            self._gate.release(seat)
