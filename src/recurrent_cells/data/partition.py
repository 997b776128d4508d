"""Which examples train, validate and test."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.config.schema import DataConfig, as_typed
from recurrent_cells.data.examples import Examples
from recurrent_cells.errors import UserError

Indices = NDArray[np.int64]


def split_indices(source: Examples, data: DataConfig) -> tuple[Indices, Indices, Indices]:
    """Positions in the training file that train, validate and test, each in file order.

    Where examples belong to groups, each part has whole ones, and validation and test may be larger than asked for.

    Raises:
        UserError: if the parts are larger than the file.
    """
    size, groups = len(source.train.targets), source.train.groups
    test_size = _test_size(source, data)
    val_size = max((size - test_size) // 5, 1) if data.val_size is None else data.val_size
    left = size - test_size - val_size
    if left < 1 or (data.train_size or 1) > left:
        raise UserError(
            f"{_sizes(data)}: together more than the {size} examples there are, at least 1 must be left to train on"
        )
    drawn = np.random.RandomState(data.split_seed).permutation(size)
    if groups is not None:
        drawn = _together(drawn, groups)
    elif data.split == "stratified" and source.num_classes is not None and source.train.targets.ndim == 1:
        drawn = _in_proportion(drawn, source.train.targets)
    first = _border(drawn, groups, test_size, "right")
    test, rest = drawn[:first], drawn[first:]
    if data.split == "tail":
        rest = np.sort(rest) if groups is None else _together(np.sort(rest), groups)
    last = _border(rest, groups, len(rest) - val_size, "left")
    train, val = rest[:last][: data.train_size], rest[last:]
    if len(train) < (data.train_size or 1):
        raise UserError(f"{_sizes(data)}: groups, kept whole, leave {len(train)} examples to train on; give less")
    return np.sort(train), np.sort(val), np.sort(test)


def _test_size(source: Examples, data: DataConfig) -> int:
    if source.test is None:
        return max(len(source.train.targets) // 5, 1) if data.test_size is None else data.test_size
    if data.test_size is not None:
        raise UserError(f"data.test_size={data.test_size}: data={data.name} has test files, all of them are scored")
    return 0


def _sizes(data: DataConfig) -> str:
    sizes = {"train_size": data.train_size, "val_size": data.val_size, "test_size": data.test_size}
    return " ".join(f"data.{key}={as_typed(size)}" for key, size in sizes.items() if key != "test_size" or size)


def _in_proportion(order: Indices, classes: NDArray[Any]) -> Indices:
    """The same positions in an order of which every stretch has each class in about its share."""
    known, of_class = np.unique(classes[order], return_inverse=True)
    share = np.empty(len(order))
    for one in range(len(known)):
        places = np.flatnonzero(of_class == one)
        share[places] = (np.arange(len(places)) + 0.5) / len(places)
    return order[np.argsort(share, kind="stable")]


def _together(order: Indices, groups: NDArray[Any]) -> Indices:
    """The same positions with those of a group side by side, groups as they first appear."""
    _, first, of_group = np.unique(groups[order], return_index=True, return_inverse=True)
    return order[np.argsort(first[of_group], kind="stable")]


def _border(order: Indices, groups: NDArray[Any] | None, place: int, side: str) -> int:
    """Where to cut at a place, or where groups lie side by side, at the next border of groups to a side of it."""
    if groups is None:
        return place
    inner = np.flatnonzero(groups[order[1:]] != groups[order[:-1]]) + 1
    borders = np.concatenate([[0], inner, [len(order)]])
    found = np.searchsorted(borders, place) if side == "right" else np.searchsorted(borders, place, side="right") - 1
    return int(borders[found])
