"""What the two servers have in common: pure code that knows nothing of sockets, threads or clocks."""
