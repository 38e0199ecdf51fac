"""Rooms and the lobby: who is in which room, who may come in, and what a tick sends to whom. No input or output."""
