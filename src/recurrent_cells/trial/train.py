"""One trial from its config to its result."""

from typing import TYPE_CHECKING, Any

from recurrent_cells.config.schema import Config
from recurrent_cells.config.validation import validated
from recurrent_cells.imports import uncollected

if TYPE_CHECKING:
    from omegaconf import DictConfig


def train(given: "Config | DictConfig") -> dict[str, Any]:
    """Train and test one config, typed or as Hydra composes it, or again what `reproduce` names, as one MLflow run.

    Returns:
        `run_id`, `name`, `n_params`, `seconds`, `metric` (the name of the task's metric), the best `val/METRIC`,
        `test/loss` and `test/METRIC`; `reproduced`, in words, where there is a run to compare with.

    Raises:
        UserError: if the config, the data, the device or the tracking store will not do; no run is left behind.
        SystemExit: as the process ended that trained with the code of then, if that did not finish the trial.
        TrialBusy: if another process is training this very trial.
        TrialError: if training cannot go on, a loss that is not finite say; the run is FAILED.
    """
    config = given if isinstance(given, Config) else validated(given)
    if config.reproduce is None:
        return train_trial(config)

    from recurrent_cells.trial.reproduce import compare, config_again, find_original

    original = find_original(config)
    if config.reproduce_code == "current":
        result = train_trial(config_again(original, config))
    else:
        from recurrent_cells.trial.original_code import train_original

        result = train_original(original)
    return result | {"reproduced": compare(original, result["run_id"])}


def train_trial(config: Config) -> dict[str, Any]:
    """Train and test one checked config as one MLflow run; returns and raises as `train`."""
    from recurrent_cells.data.examples import load_examples
    from recurrent_cells.tracking.store import tables_made_beside

    load_examples(config.data)
    with tables_made_beside():
        with uncollected():
            from recurrent_cells.training.device import use_threads
            from recurrent_cells.trial.check import check_trial
            from recurrent_cells.trial.match import matched

        use_threads(config.trainer.threads)  # before anything is computed
        config = matched(config)
        check_trial(config)
        with uncollected():  # here: what only training imports waits until the trial has passed
            from recurrent_cells.trial.life import live
        return live(config)
