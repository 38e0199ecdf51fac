"""Child processes: their command lines, how they start and how they end."""
