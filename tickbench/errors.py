"""The exceptions of tickbench: wrong input, a failed run, a failed server, an interrupt by the user."""

import click


class InputError(click.UsageError):
    """
    What the user gave is wrong.

    The message is one line: what is wrong; what would be right. The command line prints it and exits with status 2;
    raised in a verb it knows the verb's options, so that variables which set them can be named.

    """


class RunFailedError(Exception):
    """One run could not be finished. The message says why, in one sentence; the next run may well succeed."""


class ServerFailedError(RunFailedError):
    """One run could not be finished because its server failed."""


class InterruptedByUserError(BaseException):
    """
    The user asked to stop (``signum``): end the children, keep what is finished.

    Like KeyboardInterrupt, it is no Exception: it can be raised anywhere, and no ``except Exception`` may swallow it.

    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by signal {signum}")
        self.signum = signum

    @property
    def exit_status(self) -> int:
        """128 + signum, the shell's convention for a process that was ended by a signal."""
        return 128 + self.signum
