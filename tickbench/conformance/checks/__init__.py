"""The checks, by what they are of."""
