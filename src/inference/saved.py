"""Trained networks as MLflow models in the artifacts of their runs."""

import copy

from torch import nn

from src.config import Config
from src.data.images import load_images
from src.data.splits import Splits, held_out
from src.inference.network import ImageClassifier, with_probabilities
from src.tracking.model import save_model
from src.tracking.run import TrialRun


def save_network(run: TrialRun, config: Config, classifier: nn.Module, splits: Splits) -> None:
    """Save a trial's network with the files that the trial leaves; raises OSError if there is no room."""
    classifier = copy.deepcopy(classifier).cpu().float().eval()
    network = ImageClassifier(classifier, config.data.sequence, splits.offset, splits.scale)
    images, _ = held_out(load_images(config.data), config.data)
    save_model(run.artifacts, run.run_id, with_probabilities(network).eval(), images)
