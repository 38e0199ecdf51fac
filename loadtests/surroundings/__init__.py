"""What is sampled around a load: the server's /stats and process, the cores of the machine, the clocks."""
