"""Sweeps written straight into a store: what a report reads, without training anything."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from mlflow.entities import Metric, Param, RunTag

from recurrent_cells.tracking.artifacts import write_outcomes
from recurrent_cells.tracking.names import Artifact, Tag
from recurrent_cells.tracking.store import Store, open_store

CURVE = ((10, 1.0, 0.5), (20, 2.0, 0.8), (30, 3.0, 0.9))  # step, epoch, val/acc
PARAMETERS = {"simple_rnn": 1000, "gru": 3000, "lstm": 4000}

HARDEST = [
    {"index": 3, "label": 0, "answer": 1, "probability": 0.9, "label_probability": 0.1, "pixels": [[0, 255], [128, 0]]}
]


@dataclass
class Made:
    """A trial to be written; `state` missing leaves it in the plan alone, `pruned` has its own sweep stop it.

    `accuracy` is the value of the metric that the tags name; `choices` are overrides that name files of groups;
    `outcomes` has for each test example whether it was right.
    """

    cell: str
    seed: int
    accuracy: float = 0.9
    state: str = "FINISHED"
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    confusion: str = "9,1\n0,10\n"
    pruned: bool = False
    choices: Mapping[str, str] = field(default_factory=dict)
    outcomes: Sequence[int] | None = None
    steps: int = 0

    @property
    def fingerprint(self) -> str:
        made_of = f"{self.cell}{sorted(self.params.items())}{sorted(self.choices.items())}{self.seed}"
        return re.sub(r"[^\w.]", "-", made_of)  # as MLflow lets a tag be called


@pytest.fixture
def store(store_file) -> Store:
    return open_store("recurrent-cells")


@pytest.fixture
def make_sweep(store, tmp_path) -> Callable[..., str]:
    """`make_sweep(Made("gru", 0), …)` writes a sweep of them; its parent's run id."""
    return partial(write_sweep, store, tmp_path)


@pytest.fixture
def undrawn(monkeypatch) -> None:
    """Reports have empty pictures: to draw a dozen as PNG and SVG takes seconds."""
    monkeypatch.setattr(Figure, "savefig", lambda figure, to, **_: Path(to).touch() if isinstance(to, Path) else None)


def write_sweep(
    store: Store, folder: Path, *trials: Made, name: str = "a sweep", plan: bool = True, outline: str | None = None
) -> str:
    """Write a sweep into a store, a search if it has an outline; its parent's run id."""
    client = store.client
    parent = client.create_run(store.experiment_id, run_name=name, tags={Tag.PLAN: name}).info
    if plan:
        client.log_text(parent.run_id, json.dumps([_entry(trial) for trial in trials]), Artifact.PLAN)
    if outline is not None:
        client.log_text(parent.run_id, outline, Artifact.SEARCH)
    for trial in trials:
        if trial.state != "missing":
            _write(client, store.experiment_id, parent.run_id, trial, folder)
    client.set_terminated(parent.run_id)
    return str(parent.run_id)


def _entry(trial: Made) -> dict[str, Any]:
    overrides = [
        f"model={trial.cell}",
        f"seed={trial.seed}",
        *(f"{key}={value}" for key, value in (trial.choices or trial.params).items()),
    ]
    varied = {"model": trial.cell, **(trial.choices or trial.params)}
    entry = {"name": _name(trial), "fingerprint": trial.fingerprint, "overrides": overrides, "n_params": 1}
    return entry | {"varied": varied, "steps": trial.steps}


def _name(trial: Made) -> str:
    return f"{trial.cell}-h8x1-s{trial.seed}"


def _write(client: Any, experiment_id: str, parent: str, trial: Made, folder: Path) -> None:
    tags = {
        "fingerprint": trial.fingerprint,
        "sweep": parent,
        "cell": trial.cell,
        "seconds": "12.5",
        "git.dirty": "false",
        "data.digest": "d1",
        "device": "cpu",
        **({Tag.PRUNED: "10", Tag.PRUNED_BY: parent} if trial.pruned else {}),
        **trial.tags,
    }
    params = {
        "seed": str(trial.seed),
        "model.cell": trial.cell,
        "n_params": str(PARAMETERS.get(trial.cell, 1)),
        **trial.params,
    }
    run = client.create_run(experiment_id, run_name=_name(trial)).info
    client.log_batch(
        run.run_id,
        metrics=_metrics(trial),
        params=[Param(key, value) for key, value in params.items()],
        tags=[RunTag(key, value) for key, value in tags.items()],
    )
    if "metric" not in trial.tags:
        (folder / "confusion_matrix.csv").write_text(trial.confusion)
        client.log_artifact(run.run_id, str(folder / "confusion_matrix.csv"))
        client.log_dict(run.run_id, HARDEST, "hardest_images.json")
    if trial.outcomes is not None:
        write_outcomes(folder, np.array(trial.outcomes, dtype=np.float32))
        client.log_artifact(run.run_id, str(folder / Artifact.OUTCOMES))
    client.set_terminated(run.run_id, status=trial.state)


def _metrics(trial: Made) -> Sequence[Metric]:
    name = trial.tags.get("metric", "acc")
    points = [(f"test/{name}", trial.accuracy, 30), (f"val/best_{name}", trial.accuracy + 0.01, 30)]
    for step, epoch, accuracy in CURVE:
        points += [(f"val/{name}", accuracy, step), ("val/loss", 1 - accuracy, step)]
        points += [("epoch", epoch, step), ("epoch_seconds", 2.0, step)]
    return [Metric(key, value, 1000 + step, step) for key, value, step in points]
