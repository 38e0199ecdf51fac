"""``tickbench conformance``: what a server that claims to speak the protocol does wrong, message by message."""
