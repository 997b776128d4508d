"""Trained networks as files for other programs, checked to give the same logits."""

import contextlib
import io
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from recurrent_cells.errors import ExportError, UserError, first_line
from recurrent_cells.inference.held_out import load_held_out
from recurrent_cells.inference.trained import Trained
from recurrent_cells.models.network import Network

SUFFIX = {"onnx": ".onnx", "torch": ".pt2"}
ONNX_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
LARGEST_DIFFERENCE = 1e-4
EXAMPLES_TO_CHECK = 64

Floats = NDArray[np.float32]


def check_packages(form: str) -> None:
    """Raises UserError if a format needs a package that is not there."""
    missing = [name for name in ONNX_PACKAGES if form == "onnx" and find_spec(name) is None]
    if missing:
        raise UserError(f"format=onnx: it needs {', '.join(missing)}; pip install 'recurrent-cells[onnx]'")


def description(trained: Trained) -> str:
    """What the file of a network takes and gives."""
    network, (steps, features) = trained.network, trained.size
    if network.is_image:
        taken = f"images (N, {steps}, {features}) in float32, 0 to 255"
    else:
        taken = f"series (N, {'T' if network.takes_any_steps else steps}, {features}) in float32"
        taken += ", NaN after the last step of each" if network.has_lengths else ""
    given = f"(N, T, {trained.num_outputs})" if trained.task.targets.of_steps else f"(N, {trained.num_outputs})"
    return f"{taken} → {'logits' if trained.task.has_classes else 'numbers'} {given}"


def export(trained: Trained, form: str, path: Path) -> float:
    """Write the network, float32 in the shape of images or series → logits or numbers, and read the file back.

    Returns:
        the largest difference between its outputs and the network's, on test examples; that of numbers in units of
        their deviation.

    Raises:
        UserError: if there are no test examples to check with, or the file cannot be written.
        ExportError: if the network cannot be written in that form, or an output differs by more than 1e-4; there is no
            file then.
    """
    values = load_held_out(trained).values[:EXAMPLES_TO_CHECK]
    inputs, expected = values.astype(np.float32), trained.logits(values).numpy()
    # Where a weight wants a gradient, torch cannot write the loop over any number of steps of every cell as ONNX.
    network = trained.network.requires_grad_(False)
    example = torch.from_numpy(np.resize(inputs, (2, *inputs.shape[1:])))
    try:
        content = _as_onnx(network, example) if form == "onnx" else _as_program(network, example)
        path.write_bytes(content)
    except OSError as error:
        raise UserError(f"to={path}: cannot be written ({error.strerror}); give to=FILE in another folder") from None
    except Exception as error:  # an exporter raises whatever it stumbles over
        raise ExportError(
            f"format={form}: the network of run {trained.record.run_id} cannot be written as that "
            f"({type(error).__name__}: {first_line(error, 100)})" + ("; format=torch may do" if form == "onnx" else "")
        ) from None
    answers = _onnx_logits(path, inputs) if form == "onnx" else _program_logits(path, inputs)
    deviation = np.array(trained.task.targets.scale or (1.0,), np.float32)
    difference = float((np.abs(answers - expected) / deviation).max())
    if not difference <= LARGEST_DIFFERENCE:  # NaN too
        path.unlink()
        raise ExportError(
            f"{path}: its outputs differ by up to {difference:.1e} from those of run {trained.record.run_id}, "
            f"allowed is {LARGEST_DIFFERENCE:g}; the file was removed"
        )
    return difference


def _as_program(network: Network, example: torch.Tensor) -> bytes:
    buffer = io.BytesIO()
    varying = dict.fromkeys(_varying(network), torch.export.Dim.AUTO)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about itself
        program = torch.export.export(network, (example,), dynamic_shapes=[varying])
        torch.export.save(program, buffer)
    return buffer.getvalue()


def _program_logits(path: Path, inputs: Floats) -> Floats:
    with torch.inference_mode():
        answers: Floats = torch.export.load(path).module()(torch.from_numpy(inputs)).numpy()
    return answers


def _as_onnx(network: Network, example: torch.Tensor) -> bytes:
    names = {0: "count", 1: "steps"}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # of torch about itself
        program = torch.onnx.export(
            network,
            (example,),
            input_names=["images" if network.is_image else "series"],
            output_names=["logits" if network.task.has_classes else "numbers"],
            dynamic_shapes=[{place: torch.export.Dim(names[place]) for place in _varying(network)}],
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


def _varying(network: Network) -> tuple[int, ...]:
    """The dimensions of the input that a file leaves open."""
    return (0, 1) if network.takes_any_steps else (0,)


def _onnx_logits(path: Path, inputs: Floats) -> Floats:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    answers: Floats = session.run(None, {session.get_inputs()[0].name: inputs})[0]
    return answers
