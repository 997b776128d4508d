"""How large a network would be."""

import sys
from dataclasses import replace

import torch

from recurrent_cells.config.schema import ModelConfig
from recurrent_cells.models.classifier import Classifier, num_parameters

# Networks with a larger size may have more weights than torch can count.
COUNTABLE = 1_000_000


def count_parameters(model: ModelConfig, num_features: int, num_outputs: int) -> int:
    """The parameters that a network would have, counted without building it."""
    one = _count(replace(model, num_layers=1), num_features, num_outputs)
    if model.num_layers == 1:
        return one
    return one + (model.num_layers - 1) * (_count(replace(model, num_layers=2), num_features, num_outputs) - one)


def _count(model: ModelConfig, num_features: int, num_outputs: int) -> int:
    try:
        with torch.device("meta"):
            return num_parameters(Classifier(replace(model, init="torch", forget_bias=None), num_features, num_outputs))
    except (RuntimeError, TypeError, OverflowError):
        if max(model.hidden_size, model.frontend_size, num_outputs) <= COUNTABLE:
            raise
        return sys.maxsize
