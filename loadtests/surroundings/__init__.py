"""What else was going on: the server's own word, its cores and ours, the clocks."""
