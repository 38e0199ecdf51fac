"""
Each sentence of the protocol that ``tickbench conformance`` tests holds on each arm, and disturbs nobody elsewhere.

The other contract tests have what it does not: cases beyond its own, servers with other flags, and whether somebody
else in the room is disturbed.
"""

from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from shared.wire.target import DEFAULT_PATH, Target
from tests.conftest import Serve
from tests.support.bystander import undisturbed_for_long
from tests.support.server import wait_until
from tickbench import cli
from tickbench.conformance import server_under_test
from tickbench.conformance.asking import Headers, HttpAnswer, ask
from tickbench.conformance.checks.http import BAD_REQUESTS
from tickbench.conformance.table import CHECKS
from tickbench.conformance.verdict import Conformance

pytestmark = pytest.mark.framework

FLAGS = ("--tick-rate", "200", "--tick-budget", "0", "--new-player-limit", "1.5", "--handshake-limit", "1")
BUSY_MACHINE = {"tick-numbers", "pong", "maximum-players"}
"""Checks with a note where a tick is late: a due time was skipped, pongs came behind a tick, one of ten had died."""
NOBODY_IS_REFUSED = {"busy": ("not tried", "the server had room for everybody")}


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many handshakes were refused by each status; what is no request by the rules of HTTP is no handshake."""
    counts: Counter[str] = Counter()

    def ask_and_count(server: Target, method: str, path: str, headers: Headers, limit_s: float) -> HttpAnswer:
        answer = ask(server, method, path, headers, limit_s)
        is_request = not any(headers.items() >= fault.items() for fault in BAD_REQUESTS.values())
        if method == "GET" and urlsplit(path).path == DEFAULT_PATH and is_request and answer.status >= 400:
            counts[str(answer.status)] += 1
            assert answer.body, "it says why"
        return answer

    monkeypatch.setattr(server_under_test, "ask", ask_and_count)
    return counts


def test_every_sentence_holds(serve: Serve, tmp_path: Path, refused: Counter[str]) -> None:
    file = tmp_path / "found.json"
    with serve(*FLAGS) as server:
        with undisturbed_for_long(server, "elsewhere"):
            status = cli.main(["conformance", server.url, "--json", str(file)])
        wait_until(lambda: server.stats()["connections"] == 1)
        assert server.stats()["refused"] == refused
        assert server.stats()["crashed_rooms"] == 0
    assert refused.keys() == {"400", "403", "404", "426"}
    conformance = msgspec.json.decode(file.read_bytes(), type=Conformance)
    assert (conformance.is_fit, conformance.unfit_because) == (True, None)
    found = conformance.checks
    assert [result.name for result in found] == [check.name for check in CHECKS]
    other = {
        result.name: (result.level, result.seen)
        for result in found
        if result.level != "ok" and not (result.level == "note" and result.name in BUSY_MACHINE)
    }
    assert other == NOBODY_IS_REFUSED
    assert status == 0
