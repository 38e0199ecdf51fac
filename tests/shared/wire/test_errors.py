import pytest

from shared.wire.errors import ProtocolError


@pytest.mark.parametrize(("code", "reason"), [(1002, "protocol error"), (1007, "not UTF-8"), (1009, "message too big")])
def test_a_protocol_error_tells_the_peer_by_its_code_alone(code: int, reason: str) -> None:
    error = ProtocolError(code)
    assert (error.code, str(error)) == (code, reason)
