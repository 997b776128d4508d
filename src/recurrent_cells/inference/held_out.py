"""The test images on which a trained network is evaluated: its own, or those of another data set."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.config.extensions import option
from recurrent_cells.config.schema import DataConfig
from recurrent_cells.config.validation import root_fault
from recurrent_cells.data.examples import load_examples
from recurrent_cells.data.splits import held_out
from recurrent_cells.errors import UserError
from recurrent_cells.inference.trained import Trained
from recurrent_cells.tracking.names import Tag


@dataclass(frozen=True)
class HeldOut:
    """Images (N, H, W) and labels (N,) as bytes; `warning` says why they are not the network's own, if they are not."""

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    is_own: bool
    warning: str = ""


def load_held_out(trained: Trained, name: str | None = None, root: str | None = None) -> HeldOut:
    """The test images of the data set `name`, or of the network's own, read from `root` where it is given.

    Raises:
        UserError: if they cannot be read, or are not of the size and classes the network knows.
    """
    own = trained.config.data
    data = own if name in (None, own.name) else DataConfig(**option("data", str(name)) | {"sequence": own.sequence})
    if root is not None:
        data = replace(data, root=root)
    if fault := root_fault(data):
        raise UserError(fault)
    source = load_examples(data)
    part = held_out(source, data)
    _check(trained, data.name, part.values, part.targets)
    is_own = source.digest == trained.record.tags.get(Tag.DATA_DIGEST)
    return HeldOut(data.name, part.values, part.targets, is_own, "" if is_own else _warning(trained, data.name))


def _check(trained: Trained, name: str, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    """Raises UserError for images or labels that the network does not know."""
    trained.check_size(images, f"data={name}")
    highest = int(labels.max())
    if highest >= trained.num_classes:
        raise UserError(
            f"data={name}: it has the label {highest}, and run {trained.record.name} knows "
            f"{trained.num_classes} classes, 0 to {trained.num_classes - 1}; choose another data set"
        )


def _warning(trained: Trained, name: str) -> str:
    own = trained.config.data.name
    if name == own:
        return f"warning: data={name} is not, to the byte, the data that run {trained.record.name} was trained on"
    note = " (it was trained on some of these very images)" if (own, name) == ("mnist", "mnist_5k") else ""
    return f"warning: run {trained.record.name} was trained on data={own}, not on data={name}{note}"
