"""One trial from its config to its result."""

from typing import TYPE_CHECKING, Any

from recurrent_cells.config.schema import Config, validated

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

    from recurrent_cells.trial.reproduce import compare, read_original

    original = read_original(config)
    result = train_trial(original.config)
    return result | {"reproduced": compare(original, result["run_id"])}


def train_trial(config: Config) -> dict[str, Any]:
    """Train and test one checked config as one MLflow run; returns and raises as `train`."""
    # Heavy imports wait until the config has passed.
    from recurrent_cells.data.splits import load_splits
    from recurrent_cells.inference.saved import save_network
    from recurrent_cells.interrupts import handled
    from recurrent_cells.models.classifier import build_classifier
    from recurrent_cells.sweeps.search.judge import judge_of
    from recurrent_cells.tracking.names import Tag
    from recurrent_cells.tracking.patience import patiently
    from recurrent_cells.tracking.recovery import recover
    from recurrent_cells.tracking.run import trial_run
    from recurrent_cells.tracking.store import open_store
    from recurrent_cells.training.artifacts import write_config, write_results
    from recurrent_cells.training.datamodule import SequenceDataModule
    from recurrent_cells.training.device import resolve_device, use_tf32, use_threads
    from recurrent_cells.training.fit import fit_and_test
    from recurrent_cells.training.logger import RunLogger
    from recurrent_cells.training.module import TrialModule
    from recurrent_cells.training.pruning import Pruning, pruned_at
    from recurrent_cells.training.schedule import Schedule
    from recurrent_cells.training.trainer import build_trainer
    from recurrent_cells.trial.spec import run_spec

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
        run.tags[Tag.CHECKPOINT_DIGEST] = run.keep(lambda: write_results(run.artifacts, module, splits))
        if config.registry:
            run.keep(lambda: save_network(run, config, module.classifier, splits))
    return {"run_id": run.run_id, "name": run.name} | result | pruned_at(run)
