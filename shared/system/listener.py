"""The socket that a server listens on, and the signals that stop it."""

import errno
import signal
import socket

NOT_HERE = frozenset((errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT))
"""This machine does not have the address, or its family; the name may have other addresses."""


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """
    Open the listening socket, at the first of the host's addresses that this machine has; ``::`` is for IPv4, too.

    Raises:
        OSError: this machine has none of the addresses, or the port is taken.

    """
    why = OSError(f"{host} has no address")
    for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
        takes_both = address[0] == "::" and socket.has_dualstack_ipv6()
        try:
            listener = socket.create_server(address, family=family, backlog=backlog, dualstack_ipv6=takes_both)
        except OSError as error:
            if error.errno not in NOT_HERE:
                raise
            why = error
        else:
            # One that knows it is TCP: only of such a one's connections does asyncio turn Nagle's algorithm off.
            return socket.socket(fileno=listener.detach())
    raise why


def families(listener: socket.socket) -> str:
    """Return which families a socket that listens at ``::`` serves, "" for any other."""
    if listener.family != socket.AF_INET6 or listener.getsockname()[0] != "::":
        return ""
    return "IPv6 only" if listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) else "IPv6 and IPv4"


def stop_signals() -> list[int]:
    """Return the signals that stop a server; SIGHUP is not among them where nohup has us ignore it."""
    is_kept = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGINT] if is_kept else [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
