"""From arrivals to figures: which frames came, which did not, and how late they were."""
