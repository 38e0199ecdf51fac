"""What numbers say: verdicts on ratios, how strict each look at them is, and how many more would decide. Pure."""
