"""What a trial is called and says of itself in MLflow."""

from dataclasses import asdict

from torch import nn

from recurrent_cells.config.extensions import DIGESTS, used_by
from recurrent_cells.config.schema import Config
from recurrent_cells.data.splits import Split, Splits
from recurrent_cells.errors import UserError
from recurrent_cells.models.classifier import num_parameters
from recurrent_cells.tables import CELLS
from recurrent_cells.tasks import Targets, Task, task_of
from recurrent_cells.tracking.names import TEST_WATCHED, Tag
from recurrent_cells.tracking.opening import DatasetInfo, RunSpec, flat
from recurrent_cells.training.device import Device
from recurrent_cells.trial.fingerprint import fingerprint, shape


def run_name(config: Config) -> str:
    """`gru-h128x1-s0` or `gru-residual-h128x1-s0`: cell, block if there is one, hidden size × layers, seed."""
    model = config.model
    block = "" if model.block == "none" else f"-{model.block}"
    return f"{model.cell}{block}-h{model.hidden_size}x{model.num_layers}-s{config.seed}"


def protocol(config: Config) -> str:
    return TEST_WATCHED if config.data.validate_on == "test" else "held-out"


def trial_task(config: Config, splits: Splits) -> Task:
    """The task of a trial; raises UserError if its data are not for this task or this network."""
    model, data, targets = config.model, f"data={config.data.name}", Targets.of(splits.train.targets)
    task = task_of(config.task, model.readout, targets)
    if task.has_classes and targets.are_numbers:
        raise UserError(f"task={config.task}: {data} has numbers as targets, {task.name} needs classes; use task=auto")
    if task.name == "regression" and not targets.are_numbers:
        raise UserError(f"task=regression: {data} has classes as targets, regression needs numbers; use task=auto")
    if targets.of_steps and not task.every_step:
        raise UserError(f"task={config.task}: {data} has a class for each step; use task=per_step")
    if task.every_step != (model.readout == "every"):
        needed = "every" if task.every_step else "last, mean or flatten"
        raise UserError(f"model.readout={model.readout}: with {data} task={task.name} needs model.readout={needed}")
    if config.data.order == "by_length" and splits.train.lengths is None:
        raise UserError(f"data.order=by_length: the training sequences of {data} are of one length; leave it out")
    has_lengths = any(split.lengths is not None for split in (splits.train, splits.val, splits.test))
    if model.frontend == "conv" and (has_lengths or targets.of_steps):
        what = "sequences of different lengths" if has_lengths else "a class for each step"
        raise UserError(f"model.frontend=conv: {data} has {what}; use model.frontend=none or linear")
    if model.readout == "flatten" and (has_lengths or model.frontend == "conv"):
        what = f"{data} has sequences of different lengths" if has_lengths else "model.frontend=conv makes other steps"
        raise UserError(f"model.readout=flatten: {what}; use model.readout=last or mean")
    return task


def flushes_denormals(config: Config, splits: Splits) -> bool:
    """Whether a trial takes denormal numbers for 0; by default those whose results no earlier version has recorded."""
    if config.trainer.flush_denormals is not None:
        return config.trainer.flush_denormals
    of_old = splits.is_image and config.data.sequence in ("rows", "columns", "image")
    return config.trainer.threads == 1 and not of_old


def run_spec(config: Config, splits: Splits, classifier: nn.Module, device: Device) -> RunSpec:
    """The run of a trial: params are the resolved config and `n_params`."""
    settings = asdict(config)
    del settings["sweep"], settings["study"]
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
    task = trial_task(config, splits)
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
        Tag.LAYERS_PRECISION: device.layers_precision(config),
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
