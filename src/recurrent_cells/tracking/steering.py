"""What is asked of runs under way by tags: of anyone, in MLflow's UI, by a client or `src.stop`, and of a sweep."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf

from recurrent_cells.errors import Skipped, Stopped, SweepOver
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.parents import read_parent
from recurrent_cells.tracking.queries import search
from recurrent_cells.tracking.status import drop_tags, set_tags
from recurrent_cells.tracking.store import Store

SECONDS_BETWEEN_LOOKS = 4.0
DECIDED = "decided"
BUDGET_USED = "sweep.budget is used"


@dataclass(frozen=True)
class Orders:
    """What the parent of a sweep asks of its trials, wherever they run.

    Args:
        over: why no more of them start, but for the budget; empty while they may.
        skipped: those that are to be left out, by fingerprint, with the reasons.
        ends: when those that run are to save their states and end, in seconds since 1970.
    """

    over: str = ""
    skipped: Mapping[str, str] = field(default_factory=dict)
    ends: float = inf

    def check(self, fingerprint: str) -> None:
        """Raise SweepOver or Skipped if a trial is not to start."""
        if self.over or self.is_budget_used:
            raise SweepOver(self.over or BUDGET_USED)
        if fingerprint in self.skipped:
            raise Skipped(f"skipped: {self.skipped[fingerprint]}")

    @property
    def is_budget_used(self) -> bool:
        return time.time() >= self.ends


def read_orders(store: Store, parent: str | None) -> Orders:
    """What a sweep's parent asks now; nothing where a trial has none."""
    if parent is None:
        return Orders()
    tags, ends = read_parent(store, parent).tags, inf
    with suppress(KeyError, ValueError):
        ends = float(tags[Tag.ENDS])
    return Orders(_over(store, parent, tags), skipped(tags), ends)


def _over(store: Store, parent: str, tags: Mapping[str, str]) -> str:
    if Tag.STOP in tags:
        return str(Stopped(tags[Tag.STOP]))
    before, _, most = tags.get(Tag.MOST_FAILED, "").partition("+")
    if before.isdecimal() and most.isdecimal() and failures(store, parent) >= int(before) + int(most):
        return too_many_failed(int(most))
    return ""


def too_many_failed(most: int) -> str:
    return f"sweep.stop_after_failures={most}: so many trials have failed"


def failures(store: Store, parent: str) -> int:
    """How many runs of a sweep's trials are FAILED, those of earlier starts of the sweep too."""
    return sum(1 for _ in search(store, f"attributes.status = 'FAILED' and tags.{Tag.SWEEP} = '{parent}'"))


def set_limits(store: Store, parent: str, ends: float | None, most_failures: int | None) -> None:
    """Have trials that other processes start keep the limits of a sweep.

    Args:
        ends: when its budget is used, in seconds since 1970.
        most_failures: after how many from now on no more trials start.
    """
    tags = {} if ends is None else {Tag.ENDS: f"{ends:.3f}"}
    if most_failures is not None:
        tags |= {Tag.MOST_FAILED: f"{failures(store, parent)}+{most_failures}"}
    if tags:
        set_tags(store, parent, tags)


def take_back_budget(store: Store, parent: str) -> None:
    """Remove when the budget of a sweep is used: that of another start of the same sweep."""
    drop_tags(store, parent, Tag.ENDS)


def asked_to_stop(store: Store) -> dict[str, str]:
    """The experiment's RUNNING runs that are asked to stop, with the reason that the tag gives."""
    found = search(store, f"attributes.status = 'RUNNING' and tags.{Tag.STOP} LIKE '%'")
    return {run.info.run_id: run.data.tags[Tag.STOP] for run in found}


def ask_to_stop(store: Store, run_id: str, reason: str) -> None:
    """Ask a trial to save its state and end, or a sweep to start no more trials."""
    store.client.set_tag(run_id, Tag.STOP, reason)


def ask_to_skip(store: Store, parent: str, fingerprint: str, reason: str) -> None:
    """Ask a sweep to leave out a trial that has no run yet."""
    store.client.set_tag(parent, f"{Tag.SKIP}{fingerprint}", reason)


def take_back_skips(store: Store, parent: str) -> None:
    """Remove the tags by which a sweep leaves out trials."""
    drop_tags(store, parent, *(f"{Tag.SKIP}{fingerprint}" for fingerprint in skipped(read_parent(store, parent).tags)))


def ask_for_seeds(store: Store, parent: str, most: int) -> None:
    """Ask a sweep of a fixed plan to add seeds until each pair is decided, at most so many of a configuration."""
    set_tags(store, parent, {Tag.UNTIL: DECIDED, Tag.MAX_SEEDS: str(most)})


def seeds_asked_for(tags: Mapping[str, str]) -> int | None:
    """The most seeds of a configuration that the tags of a sweep's parent ask for; None where they ask for none."""
    most = tags.get(Tag.MAX_SEEDS, "")
    return int(most) if tags.get(Tag.UNTIL) == DECIDED and most.isascii() and most.isdecimal() else None


def skipped(tags: Mapping[str, str]) -> dict[str, str]:
    """The fingerprints of trials that a sweep is to leave out, with the reasons, from the tags of its parent."""
    return {key.removeprefix(Tag.SKIP): value for key, value in tags.items() if key.startswith(Tag.SKIP)}
