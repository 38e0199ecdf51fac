"""HAProxy and nginx of Debian in front of the servers, as people put them there."""

import json

import pytest

from tests.conftest import Share
from tests.support.client import request_bytes
from tests.support.proxies import Certificate, haproxy, make_certificate

pytestmark = pytest.mark.differs()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


def test_who_comes_through_tls_has_pages_and_plays(share: Share, room: str, certificate: Certificate) -> None:
    server = share("--tick-rate", "50", "--tick-budget", "0")
    with haproxy(server.address[1], certificate) as proxy, proxy.dial() as player:
        for path in ("/", "/client.js", "/stats"):
            player.send_raw(request_bytes("GET", path, {"Host": proxy.authority}))
            answer = player.read_response()
            assert answer.status == 200
        assert json.loads(answer.body)["backend"] == server.backend
        own = {"Host": proxy.authority, "Origin": proxy.url}
        assert player.upgrade(f"/connect?room={room}", own).status == 101
        player.enter()
        player.join()
