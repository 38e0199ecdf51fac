"""The verbs of the command line, a module each, which is imported when its verb is asked for."""
