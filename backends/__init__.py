"""The servers: one folder a stack, the same files in both."""
