"""What a run found, and whether it can be trusted."""
