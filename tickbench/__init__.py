"""The command line of tickbench: serves, loads, compares, reports. Starts the other packages, never imports them."""
