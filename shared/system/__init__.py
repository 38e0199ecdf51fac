"""Everything in ``shared`` that talks to the operating system: timers, descriptors, memory, quotas, files, logs."""
