"""The exceptions of the protocol: a client's fault, a fault of our own, broken WebSocket frames."""


class ClientError(Exception):
    """The peer's fault: answer it, or close its connection. Its text is meant for the peer."""


class InvariantError(Exception):
    """Our fault: log it with its traceback and end the room, never the server."""


_REASONS = {1008: "too many fragments", 1007: "not UTF-8", 1009: "message too big"}


class ProtocolError(Exception):
    """
    The peer broke RFC 6455, or a bound of ours: close its connection with ``code``; it can't be read on.

    The reason depends on the code alone, so that it is the same whichever library found the fault.
    """

    def __init__(self, code: int) -> None:
        super().__init__(_REASONS.get(code, "protocol error"))
        self.code = code
