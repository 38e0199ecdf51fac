"""The receive path: from bytes on a socket to which connection got which tick when."""
