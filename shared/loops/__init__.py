"""When to tick and when to stop: due times and life cycles as data. Stands alone."""
