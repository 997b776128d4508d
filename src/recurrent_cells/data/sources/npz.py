"""Arrays of a user's own in an .npz file."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.arrays import existing_file, read_npz
from recurrent_cells.data.classes import by_name
from recurrent_cells.data.sources import Part, Source
from recurrent_cells.errors import UserError

ARRAYS = ("train_x", "train_y", "train_lengths", "test_x", "test_y", "test_lengths", "groups")

log = logging.getLogger(__name__)


class Npz(Source):
    """Sequences train_x (N, T, F) with train_y: classes as integers or names (N,), of each step (N, T), or numbers (N,)
    or (N, O); train_lengths (N,) where sequences are padded, groups (N,) where examples belong together, and the same
    of test, without which a part of these tests.
    """

    name, reads_root, needs_root, root_form = "npz", True, True, "FILE.npz"

    def load(self, data: DataConfig) -> list[Part]:
        path = existing_file(str(data.root), self.root_form)
        arrays = read_npz(path)
        if missing := [name for name in ARRAYS[:2] if name not in arrays]:
            raise UserError(f"{path}: no {' and no '.join(missing)} among {', '.join(arrays) or 'no arrays'}")
        if ("test_x" in arrays) != ("test_y" in arrays):
            raise UserError(f"{path}: test_x and test_y belong together, and one is missing")
        if unknown := sorted(arrays.keys() - set(ARRAYS)):
            log.warning("%s: %s not read; known are %s", path, ", ".join(unknown), ", ".join(ARRAYS))
        prefixes = ("train", "test") if "test_x" in arrays else ("train",)
        return by_name([_part(path, prefix, arrays) for prefix in prefixes])


def _part(path: Path, prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Part:
    values, targets, lengths = (arrays.get(f"{prefix}_{what}") for what in ("x", "y", "lengths"))
    assert values is not None
    assert targets is not None
    groups = arrays.get("groups") if prefix == "train" else None
    if groups is not None and groups.shape != targets.shape[:1]:
        raise UserError(f"{path}: groups {groups.shape} and train_y {targets.shape}; each example has one group")
    if targets.dtype == np.bool_:
        targets = targets.astype(np.int64)
    return Part(values, targets, f"{path}: {prefix}_x and {prefix}_y", lengths, groups=groups)
