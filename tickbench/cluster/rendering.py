"""
Renders the settings of a cluster from the templates in ``deploy``: HAProxy's, supervisord's, and a compose file.

What stands in a template stays the operator's to read; here is only what depends on the cluster.
"""

import os
import re
import shlex
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shared.printable import plain
from tickbench.children.commands import HOME, findable
from tickbench.cluster.plan import HERE, RELAY_MODULE, Cluster
from tickbench.errors import InputError

PACKAGED = Path(__file__).parents[1] / "deploy"
"""Where a wheel has them."""
TEMPLATES = PACKAGED if PACKAGED.is_dir() else Path(HOME) / "deploy"

HAPROXY, SUPERVISORD, COMPOSE = "haproxy.cfg", "supervisord.conf", "compose.yaml"
COMPOSE_HAPROXY = "haproxy.compose.cfg"
REDIS_CONF = "redis.conf"
RELAY_SOCKET = "relay.sock"
COMPOSE_RELAYS = {"redis": "redis://relay:6379", "zmq": "zmq+tcp://relay:7171", "unix": "zmq+tcp://relay:7171"}
"""Where servers in containers reach a relay of the cluster's own: a Unix socket is of one machine alone."""

INNER_PORT = 8080
"""What everybody listens on in a container."""
COMPOSE_CERTIFICATE = "/usr/local/etc/haproxy/cluster.pem"
COMPOSE_SUBNET = "10.213.57.0/24"
RESOLVING = " resolvers docker init-addr none"
"""In a compose file servers have names, which lead nowhere until they are up."""


def render(cluster: Cluster, folder: Path, haproxy: str, redis: str) -> None:
    """
    Write what supervisord runs ``haproxy``, ``redis`` and the servers by into a folder.

    Raises:
        InputError: a word or a path can't stand in its settings.

    """
    bind = f"{f'[{cluster.address}]' if ':' in cluster.address else cluster.address}:{cluster.port}"
    both = " v4v6" if cluster.address == "::" else ""
    bind = f"{bind}{both}{_tls(cluster.certificate)}"
    has_relay = cluster.relay is not None
    whole = f"{HERE}:{cluster.whole_port}"
    routes: dict[str, Any] = {"has_relay": has_relay, "has_monitor": cluster.has_monitor, "whole": whole}
    _write(folder, HAPROXY, servers=cluster.servers, bind=bind, resolving="", **routes)
    relay = " ".join(map(ini_word, cluster.relay_command))
    if cluster.relay and cluster.relay.kind == "redis":
        _write(folder, REDIS_CONF, port=cluster.relay.port)
        relay = f"{ini_word(redis)} {REDIS_CONF}"
    path = findable(os.environ).get("PYTHONPATH", "")
    _write(
        folder,
        SUPERVISORD,
        commands=[" ".join(map(ini_word, command)) for command in cluster.commands],
        haproxy=ini_word(haproxy),
        relay=relay,
        whole=" ".join(map(ini_word, cluster.whole_command)),
        stop_wait_s=cluster.stop_wait_s,
        folder=_ini_value(str(Path.cwd())),
        python_path=_ini_value(path),
        is_root=os.geteuid() == 0,
    )


def render_compose(cluster: Cluster, folder: Path) -> None:
    """Write the same cluster for containers into a folder."""
    servers = [f"server-{number}:{INNER_PORT}" for number, _ in enumerate(cluster.ports, 1)]
    certificate = cluster.certificate and Path(COMPOSE_CERTIFICATE)
    bind = f"*:{INNER_PORT}{_tls(certificate)}"
    has_relay = cluster.relay is not None
    routes: dict[str, Any] = {"has_relay": has_relay, "has_monitor": cluster.has_monitor, "whole": ""}
    _write(folder, HAPROXY, COMPOSE_HAPROXY, servers=servers, bind=bind, resolving=RESOLVING, **routes)
    kind = cluster.relay.kind if cluster.relay else ""
    url = COMPOSE_RELAYS.get(kind, "")
    flags = cluster.server_flags(INNER_PORT, "0.0.0.0", COMPOSE_SUBNET, url)  # noqa: S104 # in a network of their own
    host = f"[{cluster.address}]" if ":" in cluster.address else cluster.address
    _write(
        folder,
        COMPOSE,
        servers=servers,
        stop_wait_s=cluster.stop_wait_s,
        command=["python", "-P", "-m", cluster.module, *(word.replace("$", "$$") for word in flags)],
        published=f"{host}:{cluster.port}",
        inner_port=INNER_PORT,
        certificate=str(cluster.certificate or "").replace("$", "$$"),
        subnet=COMPOSE_SUBNET,
        relay="redis" if kind == "redis" else "ours" if kind else "",
        relay_command=["python", "-P", "-m", RELAY_MODULE, url.replace("relay", "0.0.0.0")],  # noqa: S104 # as above
    )


def ini_word(word: str) -> str:
    """
    Return a word of a command as it has to stand in supervisord's settings.

    Raises:
        InputError: it has a line break or another control character, which has no place there.

    """
    if re.search(r"[\x00-\x1f\x7f]", word):
        raise InputError(f"{plain(word)!r} has control characters; a word of a cluster's flags may have none")
    # A % begins what is to be filled in; a ; or # behind white space a comment, unless quotes are closed in between.
    return re.sub(r"(?<=\s)(?=[;#])", "''", shlex.quote(word).replace("%", "%%"))


def _ini_value(text: str) -> str:
    if re.search(r"""[\x00-\x1f\x7f"]|\s[;#]""", text):
        raise InputError(
            f"{plain(text)!r} can't stand in supervisord's settings; start from a folder with a plainer name"
        )
    return text.replace("%", "%%")


def _tls(certificate: Path | None) -> str:
    return f" ssl crt {shlex.quote(str(certificate))}" if certificate else ""


def _write(target: Path, template: str, name: str | None = None, **values: Any) -> None:
    """Render a template into the file ``name`` of a folder, by default that of its own name."""
    environment = Environment(  # noqa: S701 # these are no pages
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(f"{template}.j2").render(values)
    (target / (name or template)).write_text(text, "utf-8", "surrogateescape")
