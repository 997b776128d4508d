"""Trained networks as files for other programs, checked to give the same logits."""

import contextlib
import io
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from recurrent_cells.errors import ExportError, UserError
from recurrent_cells.inference.held_out import load_held_out
from recurrent_cells.inference.trained import Trained

SUFFIX = {"onnx": ".onnx", "torch": ".pt2"}
ONNX_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
LARGEST_DIFFERENCE = 1e-4
IMAGES_TO_CHECK = 64

Floats = NDArray[np.float32]


def check_packages(form: str) -> None:
    """Raises UserError if a format needs a package that is not there."""
    missing = [name for name in ONNX_PACKAGES if form == "onnx" and find_spec(name) is None]
    if missing:
        raise UserError(f"format=onnx: it needs {', '.join(missing)}; pip install 'recurrent-cells[onnx]'")


def export(trained: Trained, form: str, path: Path) -> float:
    """Write the network, image bytes (N, H, W) in float32 → logits (N, C), and read the file back.

    Returns:
        the largest difference between its logits and the network's, on test images.

    Raises:
        UserError: if there are no test images to check with, or the file cannot be written.
        ExportError: if a logit differs by more than 1e-4; the file is removed.
    """
    pixels = load_held_out(trained).images[:IMAGES_TO_CHECK]
    images, expected = pixels.astype(np.float32), trained.logits(pixels).numpy()
    network, example = trained.network, torch.from_numpy(np.resize(images, (2, *images.shape[1:])))
    try:
        content = _as_onnx(network, example) if form == "onnx" else _as_program(network, example)
        path.write_bytes(content)
    except OSError as error:
        raise UserError(f"to={path}: cannot be written ({error.strerror}); give to=FILE in another folder") from None
    answers = _onnx_logits(path, images) if form == "onnx" else _program_logits(path, images)
    difference = float(np.abs(answers - expected).max())
    if not difference <= LARGEST_DIFFERENCE:  # NaN too
        path.unlink()
        raise ExportError(
            f"{path}: its logits differ by up to {difference:.1e} from those of run {trained.record.run_id}, "
            f"allowed is {LARGEST_DIFFERENCE:g}; the file was removed"
        )
    return difference


def _as_program(network: nn.Module, example: torch.Tensor) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about itself
        program = torch.export.export(network, (example,), dynamic_shapes=[{0: torch.export.Dim.AUTO}])
        torch.export.save(program, buffer)
    return buffer.getvalue()


def _program_logits(path: Path, images: Floats) -> Floats:
    with torch.inference_mode():
        answers: Floats = torch.export.load(path).module()(torch.from_numpy(images)).numpy()
    return answers


def _as_onnx(network: nn.Module, example: torch.Tensor) -> bytes:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # of torch about itself
        program = torch.onnx.export(
            network,
            (example,),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=[{0: torch.export.Dim("count")}],
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


def _onnx_logits(path: Path, images: Floats) -> Floats:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    answers: Floats = session.run(["logits"], {"images": images})[0]
    return answers
