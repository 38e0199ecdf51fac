"""The command line: serve, load, compare, report. It starts servers and load tests as processes, never imports them."""
