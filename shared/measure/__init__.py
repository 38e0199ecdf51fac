"""Histograms, the figures of a server, and the formats in which they are reported. Imports nothing else of ours."""
