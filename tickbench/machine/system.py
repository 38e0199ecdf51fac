"""
Read from the system what this machine is and how it is set.

For Linux; what another system does not tell is None.
"""

import hmac
import os
import platform
import re
import socket
import struct
import time
from pathlib import Path

import psutil

SO_TIMESTAMPING = 37
"""From asm-generic/socket.h; the socket module has no name for it."""
RX_SOFTWARE_STAMPS = 1 << 3 | 1 << 4
"""SOF_TIMESTAMPING_RX_SOFTWARE and SOF_TIMESTAMPING_SOFTWARE, linux/net_tstamp.h."""
_CPU = "/sys/devices/system/cpu"


def usable_cores() -> list[int]:
    """Return the logical cores this process may run on."""
    return sorted(os.sched_getaffinity(0))


def core_siblings(core: int) -> set[int]:
    """Return the logical cores that share a physical one with ``core``, itself included."""
    text = _read(f"{_CPU}/cpu{core}/topology/thread_siblings_list")
    return _core_list(text) if text else {core}


def governor(core: int) -> str | None:
    """Return the frequency governor of a core."""
    return _read(f"{_CPU}/cpu{core}/cpufreq/scaling_governor")


def clock_source() -> str | None:
    """Return what the kernel's clocks are read from."""
    return _read("/sys/devices/system/clocksource/clocksource0/current_clocksource")


def machine_id() -> str | None:
    """
    Return an id of this installation.

    Hashed: machine-id(5) asks not to show the system's own.

    """
    text = _read("/etc/machine-id")
    if text is None or not re.fullmatch(r"[0-9a-f]{32}", text):
        return None
    return hmac.new(bytes.fromhex(text), b"tickbench", "sha256").hexdigest()[:32]


def ephemeral_range() -> range | None:
    """Return the local ports that outgoing connections can have."""
    text = _read("/proc/sys/net/ipv4/ip_local_port_range")
    if text is None:
        return None
    low, high = map(int, text.split())
    return range(low, high + 1)


def ephemeral_ports() -> int | None:
    """Return how many they are."""
    ports = ephemeral_range()
    return None if ports is None else len(ports)


def cpu_model() -> str:
    """Return the processor's name."""
    for line in (_read("/proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def steal_percent(during_s: float) -> float:
    """Watch for ``during_s``: how much of the cores' time the hypervisor gave to others, in percent."""
    return float(psutil.cpu_times_percent(during_s).steal)


STAMP_TRIES, STAMP_PAUSE_S = 20, 0.01


def has_kernel_timestamps() -> bool:
    """Whether the kernel says when it received data on a TCP socket; tried on a loopback connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(1)
        with socket.create_connection(listener.getsockname(), timeout=1) as reader:
            writer, _ = listener.accept()
            with writer:
                return _is_stamped(writer, reader)


def _is_stamped(writer: socket.socket, reader: socket.socket) -> bool:
    try:
        reader.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, RX_SOFTWARE_STAMPS)
    except OSError:
        return False
    # The kernel begins to stamp a moment after the first socket asks (net_enable_timestamp, by a work queue).
    for _ in range(STAMP_TRIES):
        writer.sendall(b"x")
        _, ancillary, _, _ = reader.recvmsg(1, 256)
        stamps = [data for level, kind, data in ancillary if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPING)]
        if any(struct.unpack_from("@l", data)[0] > 0 for data in stamps):
            return True
        time.sleep(STAMP_PAUSE_S)
    return False


def _core_list(text: str) -> set[int]:
    cores: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        cores |= set(range(int(first), int(last or first) + 1))
    return cores


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError:
        return None
