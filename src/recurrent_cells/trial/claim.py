"""Trials that several sweeps share are trained by one of them, and a trial that leaves costs only itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hydra.types import TaskFunction

from recurrent_cells.config.schema import Config, validated
from recurrent_cells.errors import TrialBusy, TrialError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from recurrent_cells.tracking.queries import TrialRecord
    from recurrent_cells.tracking.store import Store


def once(train: TaskFunction) -> TaskFunction:
    """`train` as launchers run it: what another process has finished since the plan was made is left out."""

    def task(cfg: "DictConfig") -> Any:
        config = validated(cfg)
        if config.sweep.parent is None:
            return train(cfg)

        from recurrent_cells.data.splits import load_splits
        from recurrent_cells.tracking.patience import patiently
        from recurrent_cells.tracking.store import open_store
        from recurrent_cells.trial.fingerprint import fingerprint

        patience = config.tracking.patience
        store = patiently(lambda: open_store(config.tracking.experiment, patience), patience)
        trial = fingerprint(config, load_splits(config.data).digest)
        with claim(store, trial):
            finished = already_finished(store, config, trial)
            return result_of(finished) if finished is not None else _train(train, cfg)

    return task


@contextmanager
def claim(store: "Store", trial: str) -> Iterator[None]:
    """Hold a trial, by its fingerprint, against other sweeps; from looking whether it is finished to its end.

    Raises:
        TrialBusy: if another sweep holds it.
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
    """The finished run of a trial that counts for its sweep."""
    from recurrent_cells.tracking.patience import patiently

    return patiently(lambda: finished_since(store, trial, config.sweep.since), config.tracking.patience)


def finished_since(store: "Store", trial: str, since: int, search: str | None = None) -> "TrialRecord | None":
    """The latest FINISHED run of a trial, if it ended at or after `since` (milliseconds).

    A pruned one counts only if it was pruned by the search with the parent run `search`.
    """
    from recurrent_cells.tracking.names import Tag
    from recurrent_cells.tracking.queries import trial_records, unpruned

    condition = f"tags.{Tag.FINGERPRINT} = '{trial}' and attributes.status = 'FINISHED'"
    finished = unpruned(trial_records(store, condition), but_by=search)
    return next((record for record in reversed(finished) if record.end_time >= since), None)


def _train(train: TaskFunction, cfg: "DictConfig") -> Any:
    try:
        return train(cfg)
    except SystemExit as left:
        raise TrialError(f"the trial called sys.exit({left.code})") from left


def result_of(record: "TrialRecord") -> dict[str, Any]:
    """What `train` returned where it was trained."""
    metric = record.metric
    values = {f"val/{metric}": record.selection or 0.0, f"test/{metric}": record.test or 0.0}
    return {"run_id": record.run_id, "name": record.name, "metric": metric} | values
