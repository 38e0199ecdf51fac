"""Checks of ``ping`` and ``pong``."""

import json

from tickbench.conformance.check import Check, raise_flaws
from tickbench.conformance.peer import Peer
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.ticks import FAR_US, NO_CLOCK_US
from tickbench.conformance.verdict import FaultError, quote

PINGS = 10
MOST_PINGS = 40
"""So many are tried on a machine that is too busy to answer one between two ticks."""
ECHOED = ("0", "-1", "1.5", "-0.25", "1e-7", "1700000000000.125", str(2**53 - 1), str(-(2**40)))
"""Values of t as they are sent; every language has these numbers."""


def check_pong(subject: ServerUnderTest) -> str | None:
    """Ping right after tick frames: the answer comes before the next."""
    peer = subject.enter()
    prompt, answer, tried = 0, "", 0
    while tried < PINGS or (not prompt and not answer and tried < MOST_PINGS):
        tried += 1
        peer.next_tick()
        peer.send(["ping", tried])
        message = peer.until(lambda message: message.tick or message.has("pong"), "the answer to a ping")
        prompt += message.tick is None
        answer = answer or (message.text if message.tick and message.has("pong") else "")
        if not message.has("pong"):
            peer.until(lambda message: message.has("pong"), "the answer to a ping")
    right = '[["pong", t, server_us]] at once, between ticks'
    if answer:
        raise FaultError(f"a pong came within a tick frame: {quote(answer)}", right)
    if not prompt:
        raise FaultError(f"of {tried} pings, each sent behind a tick frame, none was answered before the next", right)
    return None if prompt > tried // 2 else f"{tried - prompt} of {tried} pings were answered behind the next tick only"


def check_pong_echo(subject: ServerUnderTest) -> str | None:
    """Ping with all kinds of numbers."""
    peer = subject.enter()
    raise_flaws((_echo_flaw(peer, t) for t in ECHOED), "t comes back as it was")
    return None


def _echo_flaw(peer: Peer, t: str) -> str | None:
    peer.send_text(f'["ping",{t}]')
    message = peer.until(lambda message: message.has("pong"), f"the answer to a ping with t = {t}")
    pong = next(command for command in message.commands if command[0] == "pong")
    is_same = len(pong) > 1 and not isinstance(pong[1], bool | str) and pong[1] == json.loads(t)
    return None if is_same else f"t = {t} came back as {quote(pong)}"


def check_pong_time(subject: ServerUnderTest) -> str | None:
    """Compare the server's clock with ours while it answers."""
    peer = subject.enter()
    before_us = subject.now_us()
    peer.send(["ping", 1])
    message = peer.until(lambda message: message.has("pong"), "the answer to a ping")
    sound = message.named("pong")
    if not sound:
        raise FaultError(quote(message.text), '["pong", t, server_us]')
    server_us = sound[0][2]
    off_us = max(before_us - server_us, server_us - message.at_us)
    if off_us > (FAR_US if subject.is_on_this_host else NO_CLOCK_US):
        raise FaultError(
            f"{quote(message.text)}: server_us is {off_us / 1e6:.3f} s off this host's clock",
            "microseconds since the Unix epoch",
        )
    return None


CHECKS = (
    Check("pong", "ping is answered at once, between ticks, by pong.", check_pong),
    Check("pong-echo", "pong carries t as it was: an integer or not, negative or not.", check_pong_echo),
    Check("pong-time", "server_us is microseconds since the Unix epoch.", check_pong_time),
)
