"""What a cluster consists of: servers on ports of their own, each told which one and whom to trust, and one HAProxy."""

import itertools
import math
import os
from pathlib import Path

import click
from msgspec import Struct

from tickbench.arms import BACKENDS
from tickbench.children.commands import python_command

USUAL_STOP_LIMIT_S = 3
"""The default of ``--stop-limit``."""
STOP_SLACK_S = 12
"""What a busy machine may add to it."""
RELAY_MODULE = "backends.relay"
WHOLE_MODULE = "tickbench.cluster.whole"
HERE = "127.0.0.1"
"""Where the servers listen, and where HAProxy asks them from."""


class Relay(Struct, frozen=True):
    """What the processes of one room talk through."""

    url: str
    kind: str = ""
    """``redis``, ``zmq`` or ``unix`` if it is one of the cluster's own programs, else nothing."""
    port: int = 0
    """Of the cluster's own, if it has one."""


class Cluster(Struct, frozen=True, kw_only=True):
    """The processes of one cluster."""

    backend: str
    flags: tuple[str, ...]
    """Of ``serve``, for every server."""
    host: str
    address: str
    """The one of ``host``."""
    port: int
    ports: tuple[int, ...]
    """Of the servers, from the first to the last."""
    whole_port: int
    """Of what answers ``/stats`` for all of them."""
    certificate: Path | None
    """The file in PEM, with its key, by which HAProxy speaks TLS."""
    relay: Relay | None = None
    """None: all of a room are in one process."""

    def server_flags(self, port: int, host: str = HERE, proxies: str = HERE, relay: str = "") -> list[str]:
        """
        Return the flags of one server.

        It believes what a proxy at one of the addresses ``proxies`` says; ``relay`` is where it reaches the relay.
        """
        url = relay or (self.relay.url if self.relay else "")
        return [
            *self.flags,
            *("--port", str(port)),
            *("--host", host),
            *("--trusted-proxy", proxies),
            *(("--relay", url) if url else ()),
        ]

    @property
    def whole_command(self) -> list[str]:
        """The command of what answers ``/stats`` for all of them."""
        return [*python_command(WHOLE_MODULE), str(self.whole_port), *self.servers]

    @property
    def relay_command(self) -> list[str]:
        """The command of the relay where that is a program of ours, else nothing."""
        if self.relay is None or self.relay.kind not in {"zmq", "unix"}:
            return []
        return [*python_command(RELAY_MODULE), self.relay.url]

    @property
    def commands(self) -> list[list[str]]:
        """The commands of the servers."""
        return [[*python_command(self.module), *self.server_flags(port)] for port in self.ports]

    @property
    def module(self) -> str:
        """What serves: ``python -m MODULE``."""
        return BACKENDS[self.backend]

    @property
    def stop_wait_s(self) -> int:
        """How long a server may take to end that is told to."""
        return math.ceil(self._seconds("--drain", 0) + self._seconds("--stop-limit", USUAL_STOP_LIMIT_S) + STOP_SLACK_S)

    @property
    def servers(self) -> list[str]:
        """Where the servers listen, as ``HOST:PORT``."""
        return [f"{HERE}:{port}" for port in self.ports]

    @property
    def url(self) -> str:
        """Where HAProxy listens."""
        return self._url_of(self.host)

    @property
    def near_url(self) -> str:
        """Where HAProxy is reached from this machine."""
        return self._url_of({"0.0.0.0": HERE, "::": "::1"}.get(self.address, self.address))  # noqa: S104 # it is asked, not listened on

    @property
    def ready_line(self) -> str:
        """What is printed as soon as all of it answers."""
        return f"tickbench cluster {self.backend} listening on {self.url}"

    @property
    def has_monitor(self) -> bool:
        """Whether the servers have the page for operators, by a flag or its variable."""
        variable = os.environ.get("TICKBENCH_MONITOR") or "0"
        return "--monitor" in self.flags or bool(click.BOOL.convert(variable, None, None))

    def _seconds(self, flag: str, usual_s: float) -> float:
        """Return what a flag of the servers, or its variable, comes to; the servers have checked it."""
        words = [each for word in self.flags for each in word.split("=", 1)]
        given = [after for before, after in itertools.pairwise(words) if before == flag]
        variable = f"TICKBENCH_{flag.removeprefix('--').replace('-', '_').upper()}"
        return float(given[-1] if given else os.environ.get(variable) or usual_s)

    def _url_of(self, host: str) -> str:
        scheme = "http" if self.certificate is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"
