"""Servers that run already are reached as the user says, and what may be secret in that is shown nowhere."""

import socket
import ssl
import threading
import time
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

import click
import pytest

from tickbench.arms import parse_arm
from tickbench.compare.suite import load_suite
from tickbench.errors import InputError
from tickbench.target import Access, access_options, connect, target_of, why_unreachable

BASIC = "Basic dXNlcjpwdw=="


def test_headers_and_whom_to_trust_are_the_load_test_s_flags() -> None:
    access = Access.of(["X-Key: 1", "Cookie: a=b"], insecure=True)
    target = access.target("wss://game.example/play/connect")
    assert target.headers == (("X-Key", "1"), ("Cookie", "a=b"))
    assert target.secure
    assert not target.verifies
    assert access.variables("wss://game.example") == {
        "TICKBENCH_LOAD_HEADER": "X-Key: 1\nCookie: a=b",
        "TICKBENCH_LOAD_INSECURE": "true",
    }
    assert Access().variables("wss://game.example") == {}


def test_the_variables_are_those_of_the_load_test(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}

    @click.command()
    @access_options
    def verb(headers: tuple[str, ...], *, insecure: bool) -> None:
        seen.update(headers=headers, insecure=insecure)

    for name, value in Access.of(["X-Key: 1, 2", "Cookie: a=b"], insecure=True).variables("wss://game.example").items():
        monkeypatch.setenv(name, value)
    verb.main([], standalone_mode=False)
    assert seen == {"headers": ("X-Key: 1, 2", "Cookie: a=b"), "insecure": True}


def test_headers_are_kept_in_no_suite(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    suite = files("tickbench.suites").joinpath("quick.toml").read_text("utf-8")
    for flag in ('header = "Authorization: Bearer word"', "insecure = 1"):
        file.write_text(f"{suite}\n[[sides]]\nname = 'x'\nscenario = 'steady'\nconnections = 1\nduration_s = 1\n"
                        f"warm_up_s = 1\nload = {{ {flag} }}\n")  # fmt: skip
        with pytest.raises(InputError, match="give it to compare itself"):
            load_suite(str(file))


def test_an_at_sign_behind_the_host_is_no_login() -> None:
    for url in ("wss://game.example/connect?user=me@example.org", "wss://game.example/@arena/connect"):
        access = Access()
        assert access.take_login(url) == url
        assert access.target(url).host == "game.example"
        with_login = url.replace("wss://", "wss://user:pw@")
        assert access.take_login(with_login) == url
        assert access.target(url).host == "game.example"
        assert access.target(url).headers == (("Authorization", BASIC),)


def test_a_handshake_that_drips_is_given_up() -> None:
    def drip() -> None:
        with listener.accept()[0] as connection, suppress(OSError):
            connection.sendall(b"\x16\x03\x03\x3f\xff")  # the head of a long record
            for _ in range(200):
                connection.sendall(b"\x02")
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        started_s = time.monotonic()
        with pytest.raises(OSError):  # noqa: PT011 # which one, the system decides
            connect(target_of(f"wss://127.0.0.1:{listener.getsockname()[1]}"), 0.5)
        assert time.monotonic() - started_s < 8
        thread.join(30)


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
