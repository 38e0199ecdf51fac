"""Servers that run already are reached as the user says, and what may be secret in that is shown nowhere."""

import socket
import ssl
from pathlib import Path

import pytest

from tickbench.arms import parse_arm
from tickbench.compare.suite import load_suite
from tickbench.errors import InputError
from tickbench.target import Access, connect, target_of, why_unreachable, without_secrets

BASIC = "Basic dXNlcjpwdw=="


def test_headers_and_whom_to_trust_are_the_load_test_s_flags() -> None:
    access = Access.of(["X-Key: 1", "Cookie: a=b"], insecure=True)
    target = access.target("wss://game.example/play/connect")
    assert target.headers == (("X-Key", "1"), ("Cookie", "a=b"))
    assert target.secure
    assert not target.verifies
    assert access.flags("wss://game.example") == ["--header", "X-Key: 1", "--header", "Cookie: a=b", "--insecure"]
    assert Access().flags("wss://game.example") == []


@pytest.mark.parametrize("text", ["no colon", "Host: other", "X: a\nb"])
def test_a_header_that_is_none_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(InputError, match=r"^--header ") as refused:
        Access.of([text], insecure=False)
    assert "\n" not in str(refused.value)


def test_a_login_goes_along_and_is_in_no_name() -> None:
    access = Access()
    url = access.take_login("wss://user:pw@game.example/connect")
    assert url == "wss://game.example/connect"
    assert access.target(url).headers == (("Authorization", BASIC),)
    assert access.take_login("ws://other.example") == "ws://other.example"
    assert access.target("ws://other.example").headers == ()
    assert "pw" not in repr(access)
    assert BASIC not in repr(access)


def test_a_suite_keeps_no_login_in_any_of_its_parts(tmp_path: Path) -> None:
    arm = "url=wss://user:pw@game.example"
    file = tmp_path / "mine.toml"
    file.write_text(
        f"""
name = "mine"
arms = ["{arm}", "asyncio"]
again = "{arm}"
compare = ["{arm}", "asyncio"]
scenario = "steady"
connections = 10
duration_s = 1.0
warm_up_s = 1.0
repeats = 3
seed = 1
[[sides]]
name = "more"
scenario = "steady"
connections = 10
duration_s = 1.0
warm_up_s = 1.0
arms = ["{arm}"]
[[searches]]
name = "arena"
scenario = "steady"
duration_s = 1.0
warm_up_s = 1.0
slo = "reach>=0.9"
budget_s = 60.0
arms = ["{arm}"]
"""
    )
    access = Access()
    suite = load_suite(str(file), access.take_login)
    shown = "url=wss://game.example"
    assert (suite.arms[0], suite.again, suite.compare[0]) == (shown, shown, shown)
    assert [part.arms for part in suite.parts[1:]] == [[shown], [shown]]
    assert "pw" not in repr(suite)
    assert access.target("wss://game.example").headers == (("Authorization", BASIC),)
    assert load_suite(str(file)) == suite


def test_a_command_is_kept_without_what_its_headers_say() -> None:
    command = ["python", "-m", "loadtests", "--header", f"Authorization: {BASIC}", "--users", "3"]
    assert without_secrets(command) == [*command[:4], "Authorization: (not shown)", *command[5:]]


def test_a_wrong_arm_says_what_would_be_right_and_no_password() -> None:
    with pytest.raises(InputError) as refused:
        parse_arm("url=wss://user:pw@game.example:99999")
    assert "pw" not in str(refused.value)


def test_why_nobody_can_be_reached_is_said_in_words() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError) as refused:
            connect(target_of(f"ws://127.0.0.1:{unheard.getsockname()[1]}"), 1)
    assert why_unreachable(refused.value) == "Connection refused"
    untrusted = ssl.SSLCertVerificationError(1, "certificate verify failed")
    untrusted.verify_message = "self-signed certificate"
    words = "the certificate is not trusted: self-signed certificate"
    assert why_unreachable(untrusted) == f"{words}; right would be one that is trusted here, or --insecure"
    no_tls = ssl.SSLError(1, "wrong version number")
    no_tls.reason = "WRONG_VERSION_NUMBER"
    assert why_unreachable(no_tls) == "TLS: wrong version number"
    assert not target_of("ws://127.0.0.1").secure
