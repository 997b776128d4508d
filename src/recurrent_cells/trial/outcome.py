"""What became of a trial."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from recurrent_cells.config.messages import explain
from recurrent_cells.config.schema import Config
from recurrent_cells.errors import Halted, Interrupted, Skipped, Stopped, SweepOver, TrialBusy
from recurrent_cells.trial.claim import Train

LONGEST_ERROR = 2000
# How a trial ended that raised such an error; after any other error it failed.
STATUSES: dict[type[BaseException], str] = {
    TrialBusy: "busy",
    Interrupted: "killed",
    Stopped: "stopped",
    Skipped: "stopped",
    SweepOver: "left",
}


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Args:
        status: finished, failed, killed, stopped (as a tag asked), left (as its sweep starts no more), busy (another
            process trains the trial) or queued (left to a launcher).
        result: of a finished trial, what `train` returned.
        log: a file with all that the trial wrote to its console; empty if there is none.
    """

    status: str
    result: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    log: str = ""


def outcome_of(value: Any) -> Outcome:
    """The outcome of a trial from what `train` returned or raised."""
    if isinstance(value, Outcome):
        return value
    if isinstance(value, BaseException):
        status = STATUSES.get(type(value), "failed")
        return Outcome(status, error=(str(value) if status != "failed" else explain(value))[:LONGEST_ERROR])
    return Outcome("finished", value if isinstance(value, dict) else {})


def train_together(
    train: Train, configs: Sequence[Config], most: int | None, tell: Callable[[int, Outcome], None]
) -> None:
    """Train a trial by itself, or several of one shape as one program, in a process that was started for them.

    Args:
        most: the most trials of a pack; None is as many as the GPU's memory holds.
        tell: is told the outcome of each trial, by the trial's place in `configs`. Tracebacks go to standard error.
    """
    untold = set(range(len(configs)))

    def told(place: int, outcome: Outcome) -> None:
        untold.discard(place)
        tell(place, outcome)

    value: Any = None
    try:
        if len(configs) == 1:
            value = train(configs[0])
        else:
            from recurrent_cells.trial.pack import train_pack

            train_pack(configs, most, told)
    except BaseException as error:
        if not isinstance(error, TrialBusy | Interrupted | Halted):
            traceback.print_exc()
        value = error
    for place in sorted(untold):
        tell(place, outcome_of(value))
