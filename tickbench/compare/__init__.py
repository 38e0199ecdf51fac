"""What a comparison runs next, how one run goes, and its results on disk."""
