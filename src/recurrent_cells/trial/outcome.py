"""What became of a trial, as its launcher saw it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from recurrent_cells.config.messages import explain
from recurrent_cells.errors import TrialBusy


@dataclass(frozen=True)
class Outcome:
    """`status` is finished, failed, killed, busy (another process trains it) or skipped (never started)."""

    status: str
    result: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    log: str = ""


def job_return(overrides: Sequence[str], outcome: Outcome) -> JobReturn:
    """An outcome as Hydra wants it, a job that is completed whatever became of the trial."""
    job = JobReturn(overrides=overrides, status=JobStatus.COMPLETED)
    job.return_value = outcome
    return job


def outcome_of(job: JobReturn) -> Outcome:
    """What a launcher's JobReturn says of a trial."""
    value = job._return_value
    if isinstance(value, Outcome):
        return value
    if isinstance(value, TrialBusy):
        return Outcome("busy", error=str(value))
    if job.status == JobStatus.COMPLETED:
        return Outcome("finished", result=value if isinstance(value, dict) else {})
    return Outcome("failed", error=explain(value))
