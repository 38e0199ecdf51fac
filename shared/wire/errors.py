"""Errors by whose fault they are."""


class ClientError(Exception):
    """The peer's fault: answer it, or close its connection. Its text is meant for the peer."""


class InvariantError(Exception):
    """Our fault: log it with its traceback and end the room, never the server."""


class ProtocolError(Exception):
    """The peer broke RFC 6455, or a bound of ours: close its connection with ``code``; it can't be read on."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
