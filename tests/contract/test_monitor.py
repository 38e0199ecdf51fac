"""The page for operators: there only where it is asked for, sent as the game's page is, and read-only."""

from pathlib import Path

import pytest

from tests.conftest import Share
from tests.support.client import Response
from tests.support.server import RunningServer

pytestmark = pytest.mark.differs()

FILES = {
    "/monitor": ("monitor.html", "text/html"),
    "/monitor.js": ("monitor.js", "text/javascript"),
    "/monitor.css": ("monitor.css", "text/css"),
}
METHODS = ("POST", "PUT", "DELETE", "OPTIONS", "PATCH")
WEB = Path(__file__).parents[2] / "shared" / "web"


@pytest.fixture
def monitored(share: Share) -> RunningServer:
    return share("--tick-rate", "50", "--tick-budget", "0", "--monitor")


def undated(answer: Response) -> Response:
    return answer._replace(headers={name: value for name, value in answer.headers.items() if name != "date"})


@pytest.mark.framework
def test_it_is_sent_unchanged_with_the_headers_of_the_games_page(monitored: RunningServer) -> None:
    usual = undated(monitored.request("/")).headers
    assert "frame-ancestors 'none'" in usual["content-security-policy"]
    for path, (name, kind) in FILES.items():
        answer = undated(monitored.request(path))
        body = (WEB / name).read_bytes()
        own = {"content-type": f"{kind}; charset=utf-8", "content-length": str(len(body))}
        assert answer == Response(200, {**usual, **own}, body)
        assert undated(monitored.request(path, "HEAD")) == Response(200, {**usual, **own}, b"")


def test_it_is_read_only(monitored: RunningServer) -> None:
    for path in FILES:
        for method in METHODS:
            answer = monitored.request(path, method)
            assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
        assert monitored.upgrade(path).status == 200, "it is a page and no WebSocket"


def test_who_did_not_ask_for_it_has_no_such_path(server: RunningServer) -> None:
    for method in ("GET", "HEAD", *METHODS):
        nowhere = undated(server.request("/nowhere", method))
        assert nowhere.status == 404
        for path in FILES:
            assert undated(server.request(path, method)) == nowhere
    assert server.upgrade("/monitor").status == 404


def test_a_parameter_is_nothing_to_a_server_by_itself(monitored: RunningServer) -> None:
    answer = monitored.request("/stats?process=2")
    assert answer.status == 200
    assert "tickbench-process" not in answer.headers
