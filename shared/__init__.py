"""What the two servers have in common; without sockets, threads or clocks, but for :mod:`shared.system`."""
