"""Train one trial, or a sweep of them with -m: python -m src.train [-m] [key=value ...]."""

from typing import TYPE_CHECKING, Any

from src import cli
from src.config import Config, validated
from src.leaving import run_and_leave

if TYPE_CHECKING:
    from omegaconf import DictConfig


def train(cfg: "DictConfig") -> dict[str, Any]:
    """Train and test one composed config, or again what `reproduce` names, as one MLflow run.

    Returns:
        `run_id`, `name`, `n_params`, `seconds`, the best `val/acc`, and `test/loss` and `test/acc`;
        `reproduced`, in words, where there is a run to compare with.

    Raises:
        UserError: if the config, the data, the device or the tracking store will not do; no run is left behind.
        TrialBusy: if another process is training this very trial.
        TrialError: if training cannot go on, a loss that is not finite say; the run is FAILED.
    """
    config = validated(cfg)
    if config.reproduce is None:
        return train_trial(config)

    from src.reproduce import compare, read_original

    original = read_original(config)
    result = train_trial(original.config)
    return result | {"reproduced": compare(original, result["run_id"])}


def train_trial(config: Config) -> dict[str, Any]:
    """Train and test one checked config as one MLflow run; returns and raises as `train`."""
    # Heavy imports wait until the config has passed.
    from src.data.datamodule import SequenceDataModule
    from src.data.splits import load_splits
    from src.inference.saved import save_network
    from src.interrupts import handled
    from src.models.classifier import build_classifier
    from src.sweeps.search.judge import judge_of
    from src.sweeps.trial import run_spec
    from src.tracking.logger import RunLogger
    from src.tracking.patience import patiently
    from src.tracking.recovery import recover
    from src.tracking.run import trial_run
    from src.tracking.store import open_store
    from src.training.artifacts import checkpoint_digest, write_config, write_results
    from src.training.device import resolve_device, use_tf32, use_threads
    from src.training.fit import fit_and_test
    from src.training.module import TrialModule
    from src.training.pruning import Pruning, pruned_at
    from src.training.schedule import Schedule
    from src.training.trainer import build_trainer

    use_threads(config.trainer.threads)  # first of all: initial weights too depend on it
    use_tf32(config.trainer.tf32)
    device = resolve_device(config.trainer)
    splits = load_splits(config.data)
    alone, patience = config.sweep.parent is None, config.tracking.patience
    # A sweep has begun with a store that answered: its trials wait for one that is away.
    store = patiently(lambda: open_store(config.tracking.experiment, patience), 0 if alone else patience)
    if alone:
        recover(store)
    classifier = build_classifier(config.model, splits.num_features, splits.num_classes, config.seed)
    schedule = Schedule.from_config(config.trainer, len(splits.train), config.data.batch_size)
    module = TrialModule(config, classifier, schedule)
    data = SequenceDataModule(config, splits)
    judge = judge_of(config.sweep, store)
    with handled() as interruption, trial_run(store, run_spec(config, splits, classifier, device)) as run:
        run.keep(lambda: write_config(run.artifacts, config))
        pruning = [] if judge is None else [Pruning(judge, run)]
        trainer = build_trainer(config.trainer, device, run, RunLogger(run), interruption, pruning)
        result = fit_and_test(trainer, module, data, run, interruption)
        run.keep(lambda: write_results(run.artifacts, module, splits))
        if config.registry:
            run.keep(lambda: save_network(run, config, module.classifier, splits))
        run.tags["checkpoint.sha256"] = checkpoint_digest(run.artifacts)
    return {"run_id": run.run_id, "name": run.name} | result | pruned_at(run)


if __name__ == "__main__":
    run_and_leave(lambda: cli.main(train))
