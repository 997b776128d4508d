"""The test examples on which a trained network is evaluated: its own, or those of another data set."""

from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from recurrent_cells.config.extensions import option
from recurrent_cells.config.schema import DataConfig
from recurrent_cells.config.validation import root_fault
from recurrent_cells.data.examples import load_examples
from recurrent_cells.data.sources import Part
from recurrent_cells.data.splits import held_out
from recurrent_cells.errors import UserError
from recurrent_cells.inference.trained import Trained
from recurrent_cells.tables import SOURCES
from recurrent_cells.tracking.names import Tag
from recurrent_cells.trial.model import values_of


@dataclass(frozen=True)
class HeldOut:
    """Test examples; `warning` says why they are not the network's own, if they are not.

    Args:
        values: images (N, H, W) as bytes, or series (N, T, F) with NaN after the last step of each.
        targets: classes (N,), or (N, T) of each step, below 0 where there is none; or numbers (N,) or (N, O).
    """

    name: str
    values: NDArray[Any]
    targets: NDArray[Any]
    is_own: bool
    warning: str = ""


def load_held_out(trained: Trained, name: str | None = None, root: str | None = None) -> HeldOut:
    """The test examples of the data set `name`, or of the network's own, read from `root` where it is given.

    Raises:
        UserError: if they cannot be read, or are not of the kind and classes the network knows.
    """
    own = trained.config.data
    if name not in (None, *SOURCES.names):
        raise UserError(f"data={name}: allowed is one of {', '.join(SOURCES.names)}")
    data = own if name in (None, own.name) else DataConfig(**option("data", str(name)) | {"sequence": own.sequence})
    if root is not None:
        data = replace(data, root=root)
    if fault := root_fault(data):
        raise UserError(fault)
    source = load_examples(data)
    part = held_out(source, data)
    values = values_of(part)
    trained.check(values, f"data={data.name}")
    _check_targets(trained, data.name, part)
    is_own = source.digest == trained.record.tags.get(Tag.DATA_DIGEST)
    return HeldOut(data.name, values, part.targets, is_own, "" if is_own else _warning(trained, data.name))


def _check_targets(trained: Trained, name: str, part: Part) -> None:
    """Raises UserError for targets that are none of the classes that the network answers with."""
    run, targets = trained.record.name, part.targets
    if not trained.task.has_classes:
        return
    if targets.dtype.kind == "f":
        raise UserError(f"data={name}: its targets are numbers, and run {run} answers with classes")
    if part.class_names is not None and part.class_names != trained.names:
        raise UserError(f"data={name}: its classes are {', '.join(part.class_names)}, not those of run {run}")
    highest = int(targets.max())
    if highest >= trained.num_outputs:
        raise UserError(
            f"data={name}: it has the label {highest}, and run {run} knows "
            f"{trained.num_outputs} classes, 0 to {trained.num_outputs - 1}; choose another data set"
        )


def _warning(trained: Trained, name: str) -> str:
    own = trained.config.data.name
    if name == own:
        return f"warning: data={name} is not, to the byte, the data that run {trained.record.name} was trained on"
    note = " (it was trained on some of these very images)" if (own, name) == ("mnist", "mnist_5k") else ""
    return f"warning: run {trained.record.name} was trained on data={own}, not on data={name}{note}"
