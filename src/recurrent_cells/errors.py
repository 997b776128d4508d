"""Errors meant for users: one or two lines, no traceback."""

import signal


class UserError(Exception):
    """Bad input or surroundings; the message names the key, the value, what is allowed and what to do."""


class TrialError(Exception):
    """A trial that cannot go on, for a reason its user should read (a loss that is not finite, say)."""


class Halted(TrialError):
    """A trial that does not begin, or whose state is saved, because that was asked for."""


class Stopped(Halted):
    """A trial that a tag asked to stop, for the reason given."""

    PREFIX = "stopped: "

    def __str__(self) -> str:
        return f"{self.PREFIX}{super().__str__()}"


class Skipped(Halted):
    """A trial that a tag asked its sweep to leave out."""


class SweepOver(Halted):
    """A trial whose sweep starts no more trials, or has used its budget."""


class TrialBusy(Exception):
    """Another process is training this very trial."""


class SweepFailed(Exception):
    """A sweep at whose end some trial is not finished; the message lists them."""


class DeliveryError(Exception):
    """The tracking store did not take the end of a run; what was to be delivered is on disk."""


class ExportError(Exception):
    """An exported network that does not answer as the original does."""


class Interrupted(BaseException):
    """A signal that asked the process to end; not an Exception, so that nothing takes it for a fault."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum

    def __str__(self) -> str:
        return signal.Signals(self.signum).name

    @property
    def exit_code(self) -> int:
        return 128 + self.signum


def first_line(error: BaseException, most: int = 200) -> str:
    """The first line of an error's message, of so many characters; the error's type if it has no message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:most]
