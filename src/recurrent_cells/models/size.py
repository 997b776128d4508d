"""How large a network would be, and which hidden size would make one so large."""

import sys
from bisect import bisect_left
from dataclasses import asdict, replace
from functools import cache

import torch

from recurrent_cells.config.schema import ModelConfig
from recurrent_cells.errors import UserError
from recurrent_cells.models.classifier import Classifier, num_parameters

# Networks with a larger size may have more weights than torch can count.
COUNTABLE = 1_000_000
# How far a network may be from the parameters that it is to match, as a part of these.
MATCHED_WITHIN = 0.05
# Sizes one after another that a cell may refuse, where they are no multiple of its heads say.
MOST_REFUSED = 1000
# Parameters by all that they depend on: a sweep asks for those of few networks, of each many times.
_counted: dict[str, int] = {}


def count_parameters(model: ModelConfig, *sizes: int) -> int:
    """The parameters that a network would have, counted without building it.

    Args:
        sizes: the features, outputs and steps of its `Classifier`.
    """
    one = _count(replace(model, num_layers=1), *sizes)
    if model.num_layers == 1:
        return one
    return one + (model.num_layers - 1) * (_count(replace(model, num_layers=2), *sizes) - one)


def _count(model: ModelConfig, *sizes: int) -> int:
    key = str((asdict(model), *sizes))
    if key not in _counted:
        _counted[key] = _count_anew(model, *sizes)
    return _counted[key]


def _count_anew(model: ModelConfig, *sizes: int) -> int:
    try:
        with torch.device("meta"):
            return num_parameters(Classifier(model, *sizes))
    except (RuntimeError, TypeError, OverflowError):
        settings = (value for value in model.options.values() if isinstance(value, int))
        if max(model.hidden_size, model.frontend_size, *sizes, *settings) <= COUNTABLE:
            raise
        return sys.maxsize


def matching_size(model: ModelConfig, *sizes: int) -> int:
    """The hidden size with which a network comes closest to the parameters that `model.match` asks for.

    Args:
        sizes: the features, outputs and steps of its `Classifier`.

    Raises:
        UserError: if none comes within 5 %, or the cell refuses all sizes about it.
    """
    assert model.match is not None
    wanted = int(model.match.partition(":")[2])

    @cache
    def count(size: int) -> int | None:
        """The parameters with a hidden size; None for one that the cell refuses."""
        try:
            return count_parameters(replace(model, hidden_size=size), *sizes)
        except UserError:
            return None

    def first_taken(tried: range) -> int | None:
        return next((size for size in tried[:MOST_REFUSED] if count(size) is not None), None)

    def count_from(size: int) -> int:
        """The parameters with the first size from here on that the cell takes."""
        taken = first_taken(range(size, COUNTABLE + 1))
        return sys.maxsize if taken is None else count(taken) or 0

    above = 1 + bisect_left(range(1, COUNTABLE + 1), wanted, key=count_from)
    about = first_taken(range(above - 1, 0, -1)), first_taken(range(above, COUNTABLE + 1))
    found = [(abs(total - wanted), size, total) for size in about if size and (total := count(size)) is not None]
    if not found:
        count_parameters(replace(model, hidden_size=above), *sizes)  # the cell says why
    distance, size, total = min(found)
    if distance > MATCHED_WITHIN * wanted:
        raise UserError(
            f"model.match={model.match}: no hidden size of {model.cell} comes within {100 * MATCHED_WITHIN:g} %; "
            f"the nearest is model.hidden_size={size} with {total:,} parameters"
        )
    return size
