"""A trial that several sweeps share is trained by one of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from recurrent_cells.config.schema import Config
from recurrent_cells.config.validation import validated
from recurrent_cells.errors import TrialBusy, TrialError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from recurrent_cells.tracking.queries import TrialRecord
    from recurrent_cells.tracking.store import Store

# What trains the trial of a config and returns the trial's result.
Train = Callable[[Config], Any]


def once(train: Train) -> Callable[["Config | DictConfig"], Any]:
    """`train` for the trials of a sweep: a trial that another process finished meanwhile is not trained again.

    The task raises TrialBusy if another process has claimed the trial, and TrialError if the trial calls `sys.exit`.
    """

    def task(given: "Config | DictConfig") -> Any:
        config = given if isinstance(given, Config) else validated(given)
        if config.sweep.parent is None:
            return _train(train, config)

        from recurrent_cells.data.splits import load_splits
        from recurrent_cells.tracking.patience import patiently
        from recurrent_cells.tracking.store import open_store
        from recurrent_cells.trial.fingerprint import fingerprint

        patience = config.tracking.patience
        store = patiently(lambda: open_store(config.tracking.experiment, patience), patience)
        trial = fingerprint(config, load_splits(config.data).digest)
        with claim(store, trial):
            finished = already_finished(store, config, trial)
            return result_of(finished) if finished is not None else _train(train, config)

    return task


@contextmanager
def claim(store: "Store", trial: str) -> Iterator[None]:
    """Hold a trial, by its fingerprint, against other sweeps while the body runs.

    Raises:
        TrialBusy: if another sweep holds the trial.
    """
    from recurrent_cells.tracking.locks import trial_lock

    with trial_lock(store, f"{trial}.sweep"):
        yield


def is_claimed(store: "Store", trial: str) -> bool:
    """Whether some process holds a trial at this moment."""
    try:
        with claim(store, trial):
            return False
    except TrialBusy:
        return True


def already_finished(store: "Store", config: Config, trial: str) -> "TrialRecord | None":
    """The finished run of a trial that counts for the trial's sweep."""
    from recurrent_cells.tracking.patience import patiently

    sweep = config.sweep
    return patiently(lambda: finished_since(store, trial, sweep.since, sweep.parent), config.tracking.patience)


def finished_since(store: "Store", trial: str, since: int, search: str | None = None) -> "TrialRecord | None":
    """The latest FINISHED run of a trial that ended at or after `since` (milliseconds).

    A pruned run counts only if the search with the parent run `search` pruned it.
    """
    from recurrent_cells.tracking.names import Tag
    from recurrent_cells.tracking.queries import trial_records, unpruned

    condition = f"tags.{Tag.FINGERPRINT} = '{trial}' and attributes.status = 'FINISHED'"
    finished = unpruned(trial_records(store, condition), but_by=search)
    return next((it for it in reversed(finished) if it.status == "FINISHED" and it.end_time >= since), None)


def result_of(record: "TrialRecord") -> dict[str, Any]:
    """What `train` returned when the recorded trial was trained."""
    metric = record.metric
    return {
        "run_id": record.run_id,
        "name": record.name,
        "n_params": int(record.params.get("n_params", 0)),
        "seconds": record.seconds or 0.0,
        "metric": metric,
        f"val/{metric}": record.selection or 0.0,
        "test/loss": record.metrics.get("test/loss", 0.0),
        f"test/{metric}": record.test or 0.0,
    }


def _train(train: Train, config: Config) -> Any:
    try:
        return train(config)
    except SystemExit as left:
        raise TrialError(f"the trial called sys.exit({left.code})") from left
