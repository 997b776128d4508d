"""What a trial is called and says of itself in MLflow."""

import json
from dataclasses import asdict

from mlflow.entities import Dataset, DatasetInput, InputTag
from torch import nn

from recurrent_cells.config.extensions import DIGESTS, used_by
from recurrent_cells.config.schema import Config
from recurrent_cells.data.splits import Split, Splits
from recurrent_cells.errors import UserError
from recurrent_cells.models.classifier import num_parameters
from recurrent_cells.tables import CELLS
from recurrent_cells.tasks import Task, task_of
from recurrent_cells.tracking.run import RunSpec, flat
from recurrent_cells.training.device import Device
from recurrent_cells.trial.fingerprint import fingerprint, shape

RUN_COLOR = "mlflow.runColor"  # MLflow's UI draws a run's curves in it


def run_name(config: Config) -> str:
    """`gru-h128x1-s0`: cell, hidden size × layers, seed."""
    model = config.model
    return f"{model.cell}-h{model.hidden_size}x{model.num_layers}-s{config.seed}"


def protocol(config: Config) -> str:
    return "test-watched" if config.data.validate_on == "test" else "held-out"


def trial_task(config: Config, splits: Splits) -> Task:
    """The task of a trial; raises UserError if its data are of another kind."""
    task = task_of(config.task, config.model.readout)
    if task.has_classes and not splits.num_classes:
        raise UserError(
            f"task={config.task}: data={config.data.name} has numbers as targets, {task.name} needs classes; "
            "choose a task without classes"
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
            _dataset_input(config.data.name, split, splits, context)
            for split, context in ((splits.train, "train"), (splits.val, "val"), (splits.test, "test"))
        ],
        parent=config.sweep.parent,
        since=None if config.sweep.parent is None else config.sweep.since,
    )


def _tags(config: Config, splits: Splits, device: Device) -> dict[str, str]:
    task = task_of(config.task, config.model.readout)
    tags = {
        "cell": config.model.cell,
        "task": task.name,
        "metric": task.metric,
        "metric.higher_is_better": str(task.judge.higher_is_better).lower(),
        "metric.is_share": str(task.judge.is_share).lower(),
        "seed": str(config.seed),
        "sweep": config.sweep.parent or "",
        "data.digest": splits.digest,
        "device": device.name,
        "precision": device.precision,
        "protocol": protocol(config),
        "shape": shape(config, splits.digest),
        RUN_COLOR: CELLS[config.model.cell].color,
    }
    if used := used_by(config):
        tags[DIGESTS] = ",".join(extension.digest for extension in used)
    if config.reproduce is not None:
        tags["reproduces"] = config.reproduce
    if config.recipe is not None:
        tags["recipe"] = config.recipe
    if config.is_shortened:
        tags["shortened"] = f"{config.trainer.short_epochs} epochs, full=true trains the published budget"
    return tags


def _dataset_input(name: str, split: Split, splits: Splits, context: str) -> DatasetInput:
    count, num_steps, num_features = split.sequences.shape
    profile = {
        "sequences": count,
        "steps": num_steps,
        "features": num_features,
        "classes": splits.num_classes,
    }
    dataset = Dataset(
        name=f"{name}-{context}",
        digest=splits.digest,
        source_type="local",
        source=json.dumps({"data": name}),
        profile=json.dumps(profile),
    )
    return DatasetInput(dataset, tags=[InputTag("mlflow.data.context", context)])
