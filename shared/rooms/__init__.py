"""Rooms and the lobby: who is where, and what a tick tells them. No input or output."""
