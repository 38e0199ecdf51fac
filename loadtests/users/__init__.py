"""Who comes to the game, and what they know of it."""
