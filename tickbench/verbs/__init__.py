"""What the verbs of the command line do, a file each, loaded when it is asked for."""
