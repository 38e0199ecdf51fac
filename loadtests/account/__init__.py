"""From arrivals to figures: what came, what did not, and how late it was."""
