"""What is asked of runs under way by tags that anyone can set: in MLflow's UI, by a client, by `src.stop`."""

from collections.abc import Mapping

from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.queries import search
from recurrent_cells.tracking.status import set_tags
from recurrent_cells.tracking.store import Store

SECONDS_BETWEEN_LOOKS = 4.0
DECIDED = "decided"


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
