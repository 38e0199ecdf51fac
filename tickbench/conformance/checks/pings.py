"""Checks of ``ping`` and ``pong``."""

import json
import time

from tickbench.conformance.check import check, raise_flaws
from tickbench.conformance.peer import Peer
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.ticks import FAR_US, NO_CLOCK_US
from tickbench.conformance.verdict import FaultError, quote

PINGS = 10
BUSY_PINGS, BUSY_S = 40, 3.0
"""So many are tried, and for so long, on a machine that is too busy to answer one between two ticks."""
ECHOED = ("0", "-1", "1.5", "-0.25", "1e-7", "1700000000000.125", str(2**53 - 1), str(-(2**40)))
"""Values of t as they are sent; every language has these numbers."""


@check(
    "ping is answered at once, between ticks, by pong.",
    '[["pong", t, server_us]] at once, between ticks',
    grade="measurement",
)
def pong(server: ServerUnderTest) -> str | None:
    peer = server.enter()
    prompt, tried, until_s = 0, 0, time.monotonic() + BUSY_S
    while tried < PINGS or (not prompt and (tried < BUSY_PINGS or time.monotonic() < until_s)):
        tried += 1
        peer.next_tick()
        peer.send(["ping", tried])
        message = peer.until(lambda message: message.ticks or message.has("pong"), "the answer to a ping")
        if message.ticks and message.has("pong"):
            raise FaultError(f"a pong came within a tick frame: {quote(message.text)}")
        if message.ticks:
            peer.next_with("pong", "the answer to a ping")
        else:
            prompt += 1
    if not prompt:
        raise FaultError(f"of {tried} pings, each sent behind a tick frame, none was answered before the next")
    return None if prompt > tried // 2 else f"{tried - prompt} of {tried} pings were answered behind the next tick only"


@check("pong carries t as it was: an integer or not, negative or not.", "t comes back as it was", grade="measurement")
def pong_echo(server: ServerUnderTest) -> None:
    peer = server.enter()
    raise_flaws([_echo_flaw(peer, t) for t in ECHOED])


def _echo_flaw(peer: Peer, t: str) -> str | None:
    peer.send_text(f'["ping",{t}]')
    message = peer.next_with("pong", f"the answer to a ping with t = {t}")
    answer = next(command for command in message.commands if command[0] == "pong")
    is_same = len(answer) > 1 and not isinstance(answer[1], bool | str) and answer[1] == json.loads(t)
    return None if is_same else f"t = {t} came back as {quote(answer)}"


@check("server_us is microseconds since the Unix epoch.", "microseconds since the Unix epoch", grade="measurement")
def pong_time(server: ServerUnderTest) -> None:
    peer = server.enter()
    before_us = server.now_us()
    peer.send(["ping", 1])
    message = peer.next_with("pong", "the answer to a ping")
    sound = message.named("pong")
    if not sound:
        raise FaultError(quote(message.text), '["pong", t, server_us]')
    server_us = sound[0][2]
    off_us = max(before_us - server_us, server_us - message.at_us)
    if off_us > (FAR_US if server.is_on_this_host else NO_CLOCK_US):
        raise FaultError(f"{quote(message.text)}: server_us is {off_us / 1e6:.3f} s off this host's clock")
