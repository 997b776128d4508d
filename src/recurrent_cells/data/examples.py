"""The examples that a data config names, checked, with a digest."""

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.checks import check_classes, checked
from recurrent_cells.data.reading import reading
from recurrent_cells.data.sources import Part, Source
from recurrent_cells.errors import UserError
from recurrent_cells.tables import SOURCES


@dataclass(frozen=True)
class Examples:
    """What a source has, in memory.

    Args:
        test: None for a source without test files.
        num_classes: C of targets in 0 … C - 1; None where targets are numbers.
        digest: of the examples, and of the order in which their pixels are read if it is another than theirs.
    """

    train: Part
    test: Part | None
    num_classes: int | None
    digest: str


def load_examples(data: DataConfig) -> Examples:
    """The examples that a data config names; read once per process.

    Raises:
        UserError: if files are missing, damaged, contradict each other, or cannot be downloaded, or if a permutation is
            for images of another size.
    """
    read = ("name", "root", "download", "num_classes", "missing", *SOURCES[data.name].keys)
    examples = _load(settings(data, read))
    _, *size = examples.train.values.shape
    if permuted := reading(data, (size[0], size[1])).digest:  # a name alone would not tell one file from another
        digest = hashlib.sha256(f"{examples.digest} {permuted}".encode()).hexdigest()[:16]
        examples = replace(examples, digest=digest)
    return examples


def settings(data: DataConfig, keys: tuple[str, ...]) -> tuple[tuple[str, Any], ...]:
    """Some keys of a config with their values, hashable: by these the caches know a config again."""
    values = ((key, getattr(data, key)) for key in keys)
    return tuple((key, tuple(value) if isinstance(value, list) else value) for key, value in values)


@lru_cache(maxsize=4)
def _load(settings: tuple[tuple[str, Any], ...]) -> Examples:
    data = DataConfig(**dict(settings))
    source: Source = SOURCES[data.name]()
    parts = _trimmed([checked(part, data.missing) for part in source.load(data)])
    train, test = parts[0], parts[1] if len(parts) > 1 else None
    if test is not None and _kind(test) != _kind(train):
        raise UserError(f"{test.place}: other types or sizes than in {train.place}")
    classes = None
    if train.targets.dtype.kind in "iu":
        named = len(train.class_names or ())
        if named and data.num_classes not in (None, named):
            raise UserError(f"data.num_classes={data.num_classes}: the {named} classes have names; allowed is null")
        classes = data.num_classes or max(named or int(train.targets.max()) + 1, 2)
    if classes is not None:
        check_classes(parts, classes)
    return Examples(train, test, classes, _digest(parts))


def _trimmed(parts: list[Part]) -> list[Part]:
    """The parts without steps that are padding in all their sequences, with lengths unless none is padded."""
    if all(part.lengths is None for part in parts):
        return parts
    lengths = [np.full(len(it.values), it.values.shape[1]) if it.lengths is None else it.lengths for it in parts]
    longest = max(int(of_part.max()) for of_part in lengths)
    is_padded = any((of_part < longest).any() for of_part in lengths)
    return [
        replace(part, lengths=of_part if is_padded else None).trimmed(int(of_part.max()))
        for part, of_part in zip(parts, lengths, strict=True)
    ]


def _kind(part: Part) -> tuple[Any, ...]:
    """What all examples have in common; of padded sequences, and of targets of each step, not the number of steps."""
    sizes = part.values.shape[1:] if part.lengths is None else part.values.shape[2:]
    outputs = () if part.has_steps_asked else part.targets.shape[1:]
    return part.values.dtype, part.targets.dtype.kind == "f", part.targets.ndim, sizes, outputs


def _digest(parts: list[Part]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        groups = None if part.groups is None else np.unique(part.groups, return_inverse=True)[1]
        for array in (part.values, part.targets, part.lengths, groups):
            if array is not None:
                digest.update(repr(array.shape).encode())
                digest.update(np.ascontiguousarray(array).data)
        if part.class_names is not None:
            digest.update(repr(part.class_names).encode())
    return digest.hexdigest()[:16]
