"""A trial's best network as an MLflow model among the files that the trial leaves."""

import copy
import hashlib
import json
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray
from torch import nn

from recurrent_cells import paths
from recurrent_cells.config.schema import Config
from recurrent_cells.data.examples import load_examples
from recurrent_cells.data.splits import Splits, held_out
from recurrent_cells.models.image_classifier import ImageClassifier, with_probabilities
from recurrent_cells.tasks import Task
from recurrent_cells.tracking.model import save_model, versions
from recurrent_cells.tracking.run import TrialRun
from recurrent_cells.trial.spec import trial_task


def save_network(run: TrialRun, config: Config, classifier: nn.Module, splits: Splits) -> None:
    """Save a trial's network with the files that the trial leaves; raises OSError if there is no room."""
    classifier = copy.deepcopy(classifier).cpu().float().eval()
    network = ImageClassifier(classifier, splits.reading, splits.offset, splits.scale)
    images = held_out(load_examples(config.data), config.data).values
    twin = paths.EXPORTS / _graph(config, splits, images[:2])
    save_model(run.artifacts, run.run_id, with_answers(network, trial_task(config, splits)), images, twin)


def with_answers(network: ImageClassifier, task: Task) -> nn.Module:
    """Image bytes (N, H, W) → probabilities (N, C), or the outputs themselves where a task has no classes."""
    return (with_probabilities(network) if task.has_classes else network).eval()


def _graph(config: Config, splits: Splits, example: NDArray[np.uint8]) -> str:
    """A digest of all that saved models of trials have in common if they differ in nothing but their weights."""
    of_network = [asdict(config.model), splits.num_features, splits.num_outputs]
    scaling = [np.asarray(number).tolist() for number in (splits.offset, splits.scale)]
    of_images = [config.data.sequence, config.data.patch, splits.reading.digest, *scaling, *example.shape]
    return hashlib.sha256(json.dumps([of_network, of_images, versions()]).encode() + example.tobytes()).hexdigest()[:16]
