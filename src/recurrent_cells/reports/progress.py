"""How far a sweep has come, from the file of its trials alone."""

import json
from dataclasses import dataclass
from pathlib import Path

from recurrent_cells.tracking.archived import read_archive, read_sweep
from recurrent_cells.tracking.names import Artifact, Tag

HOUR = 3600


@dataclass(frozen=True)
class Progress:
    """The trials of a sweep, and what they took.

    Args:
        planned: as far as they are known: seeds may be added.
        core_hours: of the finished trials.
    """

    planned: int
    finished: int
    core_hours: float


def progress(archive: Path) -> Progress:
    """How far the sweep of an archive has come; raises UserError if the file is damaged."""
    plan = json.loads(read_sweep(archive).get(Artifact.PLAN, "[]"))
    planned = {entry["fingerprint"] for entry in plan}
    finished = [it for it in read_archive(archive) if it.fingerprint in planned]
    seconds = sum(float(it.tags.get(Tag.SECONDS, 0)) * int(it.params.get("trainer.threads", 1)) for it in finished)
    return Progress(len(planned), len(finished), seconds / HOUR)
