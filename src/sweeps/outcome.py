"""What became of a trial, as its launcher saw it."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """`status` is finished, failed, killed, busy (another process trains it) or skipped (never started)."""

    status: str
    result: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    log: str = ""
