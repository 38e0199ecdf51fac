"""When a room's loop ticks, starts and stops, and whose turn it is: without clocks, tasks or greenlets."""
