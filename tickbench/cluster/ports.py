"""Finds out where a cluster can listen: the address of a host, and ports that nobody has or is given by chance."""

import errno
import os
import socket
from contextlib import ExitStack

from tickbench.cluster.plan import HERE
from tickbench.errors import InputError
from tickbench.machine.system import ephemeral_range

FIRST_PORT, LAST_PORT = 10_000, 65_535


def address_of(host: str) -> str:
    """Return the first address of a host that this machine has; raise :class:`InputError` if there is none."""
    advice = "127.0.0.1 would be right, or 0.0.0.0 for all of IPv4"
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE) if host else []
    except (OSError, UnicodeError):
        found = []
    for family, _, _, _, address in found:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(address)
            except OSError:
                continue
        return str(address[0])
    raise InputError(f"--host {host!r} is no address of this machine; {advice}")


def outer_port(address: str, port: int) -> int:
    """Return the port, or one that is free if it is 0; raise :class:`InputError` if it is taken or not to be had."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as HAProxy does: connections of before don't count
        try:
            probe.bind((address, port))
            probe.listen()
        except OSError as error:
            why = "is taken" if error.errno == errno.EADDRINUSE else f"can't be had ({error.strerror})"
            raise InputError(f"port {port} of {address} {why}; --port 0 would take a free one") from error
        return int(probe.getsockname()[1])


def inner_ports(count: int) -> tuple[int, ...]:
    """
    Return free ports for the servers; raise :class:`InputError` if there are not as many.

    None is one that the kernel gives to outgoing connections: HAProxy's own could take that of a server which is being
    started again. Where to begin is left to chance, so that clusters that start at once hardly ever meet.
    """
    usual = ephemeral_range() or range(0)
    candidates = [port for port in range(FIRST_PORT, LAST_PORT + 1) if port not in usual]
    start = int.from_bytes(os.urandom(4)) % max(1, len(candidates))
    ports: list[int] = []
    with ExitStack() as held:
        for port in candidates[start:] + candidates[:start]:
            if len(ports) == count:
                break
            probe = held.enter_context(socket.socket())
            try:
                probe.bind((HERE, port))
            except OSError:
                continue
            ports.append(port)
    if len(ports) < count:
        raise InputError(f"there are no {count} free ports outside net.ipv4.ip_local_port_range; narrow that")
    return tuple(ports)
