"""
Checks HTTP requests before a framework sees them, and hands them to it one at a time.

Requests that both servers refuse alike are answered here, and their connections end: malformed ones, unknown hosts,
paths and methods, bodies, expectations, too many requests. A backend adds the reading, the writing and the waiting.
"""

from http import HTTPStatus
from math import ceil
from typing import Any
from urllib.parse import unquote

from shared.measure.counters import PAGES as COSTLY
from shared.server.core import ServerCore
from shared.web import load_monitor_files, load_web_files
from shared.wire.allowance import Allowance
from shared.wire.forwarded import client_address, is_trusted
from shared.wire.handshake import Refusal, answer_bytes
from shared.wire.request import HeadReader, Request, RequestError

PAGES = frozenset((*load_web_files(), "/healthz", *COSTLY))
MONITOR = frozenset(load_monitor_files())
CONNECT, ECHO = "/connect", "/echo"

MAX_REQUESTS = 50
"""A second, on one connection: a page takes three, a client that polls a few."""

NOT_OURS = Refusal(HTTPStatus.FORBIDDEN, "this Host is not served here: --origin http://HOST would allow it")
NOT_FOUND = Refusal(HTTPStatus.NOT_FOUND, "Not Found")
NOT_ALLOWED = Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Method Not Allowed", (("Allow", "GET, HEAD"),))
NO_EXPECTATION = Refusal(HTTPStatus.EXPECTATION_FAILED, "a request is answered at once: leave out Expect")
NO_BODY = Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "a request has no body here")
NO_UPGRADE_BODY = Refusal(HTTPStatus.BAD_REQUEST, "an upgrade request has no body")


def too_many(text: str, retry_after_s: float = 1) -> Refusal:
    """Return the answer to a request beyond a limit: 429 with Retry-After."""
    headers = (("Retry-After", str(max(1, ceil(retry_after_s)))),)
    return Refusal(HTTPStatus.TOO_MANY_REQUESTS, text, headers)


TOO_MANY = too_many(f"a connection has {MAX_REQUESTS} requests a second")


class TurnedAway(Exception):  # noqa: N818 # it is what happened, and no error of ours
    """
    The door answers a request itself, and the connection ends.

    Write ``answer``, then give the peer a bounded time to read it, in which what still comes is dropped.
    """

    def __init__(self, answer: bytes) -> None:
        super().__init__(answer.partition(b"\r\n")[0].decode("ascii"))
        self.answer = answer


class Door:
    """
    The door of one connection. Feed it what was read, at most ``READ_BYTES`` at once, only while it :attr:`has_room`.

    Take a head, hand it to the library, call :meth:`answered` when it is, and take the next. What comes behind the head
    of an upgrade is kept: take the :meth:`rest` as soon as the upgrade is made; where the library refused it, call
    :meth:`answered` as for any other request.
    """

    __slots__ = (
        "_allowance",
        "_core",
        "_forwarded",
        "_is_answering",
        "_is_last",
        "_is_shared",
        "_is_shut",
        "_is_upgrade",
        "_peer",
        "_reader",
    )

    def __init__(self, core: ServerCore[Any], peer: str = "") -> None:
        self._core = core
        self._peer = peer  # its address
        self._is_shared = is_trusted(peer, core.config.trusted_proxies)  # by many, as it is a proxy's
        self._forwarded = b""  # what the last request says of whom it comes from
        self._reader = HeadReader()
        self._allowance = Allowance(MAX_REQUESTS, MAX_REQUESTS)
        self._is_answering = False
        self._is_last = False  # the connection ends with the request that is being answered
        self._is_upgrade = False  # that request asks for an upgrade
        self._is_shut = False  # nothing more is read

    @property
    def has_room(self) -> bool:
        """Whether it may be fed; if not, stop reading, so that TCP holds the peer back."""
        return self._reader.has_room

    @property
    def address(self) -> str:
        """The address that the last request comes from: the peer's, or that which a trusted proxy has it from."""
        return client_address(self._peer, self._forwarded.decode("latin-1"), self._core.config.trusted_proxies)

    @property
    def is_idle(self) -> bool:
        """Whether nothing of the next request has come."""
        return not self._reader.has_begun

    @property
    def is_shut(self) -> bool:
        """Whether there will be no further head, whatever is fed."""
        return self._is_shut

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes as they came."""
        if not self._is_shut:
            self._reader.feed(data)

    def next_head(self, now_us: int) -> bytes | None:
        """
        Return the head of the next request for the library; None while there is none, or one is being answered.

        Raises:
            TurnedAway: the peer is to get the answer in it, and nothing more.

        """
        if self._is_answering or self._is_shut:
            return None
        try:
            request = self._reader.next_request()
            if request is None:
                return None
            head = self._pass(request, now_us)
        except RequestError as error:
            self._shut()
            self._core.counters.turned_away[error.refusal.status] += 1
            answer = answer_bytes(error.refusal, now_us, has_body=not self._reader.is_head)
            raise TurnedAway(answer) from None
        self._is_answering, self._is_last = True, request.closes
        if self._is_last and not self._is_upgrade:
            self._shut()
        return head

    def answered(self) -> None:
        """Note that the last request has been answered, also where that refused an upgrade."""
        self._is_answering = self._is_upgrade = False
        if self._is_last:
            self._shut()

    def rest(self) -> bytes:
        """Return what came behind the head of an upgrade; the door is of no use after that."""
        self._is_shut, self._is_upgrade = True, False
        return self._reader.take_rest()

    def _shut(self) -> None:
        self._is_shut = True
        self._reader.take_rest()

    def _pass(self, request: Request, now_us: int) -> bytes:
        """Return the head that the library gets, or raise RequestError with the answer to a request that is refused."""
        if not self._is_shared:
            if not self._allowance.has_some(now_us):
                raise RequestError(TOO_MANY)
            self._allowance.take(1)
        if not self._core.goes_by(request.host):
            raise RequestError(NOT_OURS)
        path = unquote(request.path)  # unambiguous: none of our paths has a character that must be quoted
        is_websocket = path == CONNECT or (path == ECHO and self._core.config.echo)
        is_page = path in PAGES or (path in MONITOR and self._core.config.monitor)
        if path and not is_websocket and not is_page:
            raise RequestError(NOT_FOUND)
        if request.method not in {"GET", "HEAD"}:
            raise RequestError(NOT_ALLOWED)
        if request.expects:
            raise RequestError(NO_EXPECTATION)
        self._is_upgrade = is_websocket and request.asks_to_upgrade and request.method == "GET"
        self._forwarded = request.fields.get(b"x-forwarded-for", b"")
        if request.has_body:
            raise RequestError(NO_UPGRADE_BODY if self._is_upgrade else NO_BODY)
        budget = self._core.reporter.budget
        if path in COSTLY and not budget.has_some(now_us):
            raise RequestError(too_many("figures have been asked for too often of late", budget.comes_back_s()))
        return request.head(path, is_upgrade=self._is_upgrade)
