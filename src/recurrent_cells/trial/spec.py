"""What a trial is called and says of itself in MLflow."""

from dataclasses import asdict

from torch import nn

from recurrent_cells.config.extensions import DIGESTS, used_by
from recurrent_cells.config.schema import Config
from recurrent_cells.data.splits import Split, Splits
from recurrent_cells.errors import UserError
from recurrent_cells.models.classifier import num_parameters
from recurrent_cells.tables import CELLS
from recurrent_cells.tasks import Task, task_of
from recurrent_cells.tracking.names import TEST_WATCHED, Tag
from recurrent_cells.tracking.opening import DatasetInfo, RunSpec, flat
from recurrent_cells.training.device import Device
from recurrent_cells.trial.fingerprint import fingerprint, shape


def run_name(config: Config) -> str:
    """`gru-h128x1-s0`: cell, hidden size × layers, seed."""
    model = config.model
    return f"{model.cell}-h{model.hidden_size}x{model.num_layers}-s{config.seed}"


def protocol(config: Config) -> str:
    return TEST_WATCHED if config.data.validate_on == "test" else "held-out"


def trial_task(config: Config, splits: Splits) -> Task:
    """The task of a trial; raises UserError if its data are not for this task or this network."""
    task = task_of(config.task, config.model.readout)
    if task.has_classes and not splits.num_classes:
        raise UserError(
            f"task={config.task}: data={config.data.name} has numbers as targets, {task.name} needs classes; "
            "choose a task without classes"
        )
    if config.model.frontend == "conv" and any(
        it.lengths is not None for it in (splits.train, splits.val, splits.test)
    ):
        raise UserError(
            f"model.frontend=conv: data={config.data.name} has sequences of different lengths, and convolutions would "
            "read what stands after them; use model.frontend=none or linear"
        )
    return task


def run_spec(config: Config, splits: Splits, classifier: nn.Module, device: Device) -> RunSpec:
    """The run of a trial: params are the resolved config and `n_params`."""
    settings = asdict(config)
    del settings["sweep"]
    return RunSpec(
        name=run_name(config),
        fingerprint=fingerprint(config, splits.digest),
        tags=_tags(config, splits, device),
        params=flat(settings) | {"n_params": str(num_parameters(classifier))},
        datasets=[
            _dataset_info(config.data.name, split, splits, context)
            for split, context in ((splits.train, "train"), (splits.val, "val"), (splits.test, "test"))
        ],
        parent=config.sweep.parent,
        earlier=None if config.sweep.parent is None else tuple(config.sweep.earlier),
    )


def _tags(config: Config, splits: Splits, device: Device) -> dict[str, str]:
    task = task_of(config.task, config.model.readout)
    tags = {
        Tag.TASK: task.name,
        Tag.METRIC: task.metric,
        Tag.HIGHER_IS_BETTER: str(task.judge.higher_is_better).lower(),
        Tag.IS_SHARE: str(task.judge.is_share).lower(),
        Tag.CELL: config.model.cell,
        Tag.SEED: str(config.seed),
        Tag.SWEEP: config.sweep.parent or "",
        Tag.DATA_DIGEST: splits.digest,
        Tag.DEVICE: device.name,
        Tag.PRECISION: device.precision,
        Tag.PROTOCOL: protocol(config),
        Tag.SHAPE: shape(config, splits.digest),
        Tag.RUN_COLOR: CELLS[config.model.cell].color,
    }
    if used := used_by(config):
        tags[DIGESTS] = ",".join(extension.digest for extension in used)
    if config.reproduce is not None:
        tags[Tag.REPRODUCES] = config.reproduce
    if config.recipe is not None:
        tags[Tag.RECIPE] = config.recipe
    if config.is_shortened:
        tags[Tag.SHORTENED] = f"{config.trainer.short_epochs} epochs, full=true trains the published budget"
    return tags


def _dataset_info(name: str, split: Split, splits: Splits, context: str) -> DatasetInfo:
    count, num_steps, num_features = split.sequences.shape
    profile = {"sequences": count, "steps": num_steps, "features": num_features, "classes": splits.num_classes}
    return DatasetInfo(name, context, splits.digest, profile)
