"""The life of a load run: who says when, and who does it."""
