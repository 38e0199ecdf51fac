"""The frameworks of this backend, a file each; only the chosen one is imported (:mod:`shared.server.frameworks`)."""
