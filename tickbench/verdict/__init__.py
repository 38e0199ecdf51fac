"""What results are worth: which runs count, what a difference is worth, objectives."""
