"""The Locust users: what they can do in the game, and what they know of its field."""
