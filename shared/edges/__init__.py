"""A room over several processes: what its owner and its edges know, and what they tell each other. Nothing waits."""
