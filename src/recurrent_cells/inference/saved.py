"""Trained networks as MLflow models in the artifacts of their runs."""

import copy
import hashlib
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from recurrent_cells.config.schema import Config
from recurrent_cells.data.images import load_images
from recurrent_cells.data.splits import Splits, held_out
from recurrent_cells.inference.trained import load_trained
from recurrent_cells.models.image_classifier import ImageClassifier, with_probabilities
from recurrent_cells.tracking.artifacts import has_model
from recurrent_cells.tracking.model import save_model, versions
from recurrent_cells.tracking.queries import TrialRecord
from recurrent_cells.tracking.run import TrialRun
from recurrent_cells.tracking.store import Store


def save_network(run: TrialRun, config: Config, classifier: nn.Module, splits: Splits) -> None:
    """Save a trial's network with the files that the trial leaves; raises OSError if there is no room."""
    classifier = copy.deepcopy(classifier).cpu().float().eval()
    network = ImageClassifier(classifier, config.data.sequence, splits.offset, splits.scale)
    images, _ = held_out(load_images(config.data), config.data)
    twin = run.store.folder / "models" / _graph(config, splits, images[:2])
    save_model(run.artifacts, run.run_id, with_probabilities(network).eval(), images, twin)


def _graph(config: Config, splits: Splits, example: NDArray[np.uint8]) -> str:
    """A digest of all that saved models of trials have in common if they differ in nothing but their weights."""
    of_network = [asdict(config.model), splits.num_features, splits.num_classes]
    of_images = [config.data.sequence, splits.offset, splits.scale, *example.shape]
    return hashlib.sha256(json.dumps([of_network, of_images, versions()]).encode() + example.tobytes()).hexdigest()[:16]


def ensure_saved(store: Store, record: TrialRecord) -> None:
    """Make the model from the best checkpoint if the trial has left none, as with `registry=false`.

    Raises:
        UserError: if the checkpoint or the images are not to be had.
    """
    if has_model(store, record):
        return
    trained = load_trained(store, record)
    images, _ = held_out(load_images(trained.config.data), trained.config.data)
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder), record.run_id, with_probabilities(trained.network).eval(), images)
        store.client.log_artifacts(record.run_id, folder)
