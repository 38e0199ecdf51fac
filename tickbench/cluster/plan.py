"""What a cluster consists of: servers on ports of their own, each told which one and whom to trust, and one HAProxy."""

from pathlib import Path

from msgspec import Struct

from tickbench.arms import BACKENDS
from tickbench.children.commands import python_command

HERE = "127.0.0.1"
"""Where the servers listen, and where HAProxy asks them from."""


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
    certificate: Path | None
    """The file in PEM, with its key, by which HAProxy speaks TLS."""

    def server_flags(self, port: int, host: str = HERE, proxies: str = HERE) -> list[str]:
        """Return the flags of one server, which believes what a proxy at one of the addresses ``proxies`` says."""
        return [*self.flags, "--port", str(port), "--host", host, "--trusted-proxy", proxies]

    @property
    def commands(self) -> list[list[str]]:
        """The commands of the servers."""
        return [[*python_command(self.module), *self.server_flags(port)] for port in self.ports]

    @property
    def module(self) -> str:
        """What serves: ``python -m MODULE``."""
        return BACKENDS[self.backend]

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

    def _url_of(self, host: str) -> str:
        scheme = "http" if self.certificate is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"
