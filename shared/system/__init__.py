"""What talks to the kernel; all else in ``shared`` is pure."""
