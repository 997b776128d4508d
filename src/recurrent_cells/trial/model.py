"""A trial's best network as an MLflow model among the files that the trial leaves."""

import copy
import hashlib
import json
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from recurrent_cells import paths
from recurrent_cells.config.schema import Config
from recurrent_cells.data.examples import load_examples
from recurrent_cells.data.sources import Part
from recurrent_cells.data.splits import Splits, held_out
from recurrent_cells.models.classifier import Classifier
from recurrent_cells.models.network import Network, with_probabilities
from recurrent_cells.tasks import Task
from recurrent_cells.tracking.model import save_model, versions
from recurrent_cells.tracking.run import TrialRun
from recurrent_cells.trial.spec import trial_task


def save_network(run: TrialRun, config: Config, classifier: Classifier, splits: Splits) -> None:
    """Save a trial's network with the files that the trial leaves; raises OSError if there is no room."""
    classifier, task = copy.deepcopy(classifier).cpu().float().eval(), trial_task(config, splits)
    form = (splits.offset, splits.scale, splits.is_image, splits.has_lengths)
    network = Network(classifier, task, splits.reading, *form)
    values = values_of(held_out(load_examples(config.data), config.data))
    twin = paths.EXPORTS / _graph(config, task, splits, values[:2])
    save_model(run.artifacts, run.run_id, with_answers(network), values, twin, network.takes_any_steps)


def values_of(part: Part) -> NDArray[Any]:
    """Images (N, H, W), or series (N, T, F) with NaN after the last step of each: what a `Network` takes."""
    if part.lengths is None:
        return part.values
    padding = np.arange(part.values.shape[1]) >= part.lengths[:, None]
    return np.where(padding[..., None], np.float32(np.nan), part.values)


def with_answers(network: Network) -> nn.Module:
    """The network with probabilities, or with the outputs themselves where its task has no classes."""
    return (with_probabilities(network) if network.task.has_classes else network).eval()


def _graph(config: Config, task: Task, splits: Splits, example: NDArray[Any]) -> str:
    """A digest of all that saved models of trials have in common if they differ in nothing but their weights."""
    of_network = [asdict(config.model), splits.num_features, splits.num_outputs]
    scaling = [np.asarray(number).tolist() for number in (splits.offset, splits.scale)]
    form = [config.data.patch, splits.reading.digest, splits.is_image, splits.has_lengths, asdict(task.targets)]
    of_values = [config.data.sequence, *scaling, *form, *example.shape]
    return hashlib.sha256(json.dumps([of_network, of_values, versions()]).encode() + example.tobytes()).hexdigest()[:16]
