"""The parts of a server that are the same on both backends: settings, admission, slow consumers, statistics, scores."""
