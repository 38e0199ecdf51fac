"""From bytes to who got which tick when."""
