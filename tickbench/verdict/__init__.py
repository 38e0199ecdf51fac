"""What results are worth: which runs count, what a difference is worth, and whether arms did the same work."""
