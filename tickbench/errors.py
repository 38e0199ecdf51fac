"""What can go wrong, by whose fault it is. Knows nothing of how it is shown."""


class InputError(Exception):
    """
    What the user gave is wrong.

    The message is one line: what is wrong; what would be right. The command line prints it and exits with status 2.

    """


class RunFailedError(Exception):
    """One run could not be finished. The message says why, in one sentence; the next run may well succeed."""


class ServerFailedError(RunFailedError):
    """The same, and it was the server that failed."""


class InterruptedByUserError(BaseException):
    """
    The user asked to stop (``signum``): end the children, keep what is finished.

    Like KeyboardInterrupt, it is no Exception: it can be raised anywhere, and no library shall swallow it.

    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by signal {signum}")
        self.signum = signum

    @property
    def exit_status(self) -> int:
        """The shell's convention for a process that was ended by a signal."""
        return 128 + self.signum
