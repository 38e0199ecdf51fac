"""Histograms, tick statistics and what is reported of them. Stands alone."""
