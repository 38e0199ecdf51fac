"""
What goes between the processes of one room: a bus, and leases that say whose a room is.

Pure: who publishes, who gets what, what is told to whom; bytes to send and what has come. The waiting is in
``backends/*/relay``, what carries it in a process of its own: Redis, or our hub.
"""
