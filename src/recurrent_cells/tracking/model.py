"""A trial's network as an MLflow model: exported, without pickle, answering images or series."""

import io
import logging
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import Schema, TensorSpec
from numpy.typing import NDArray
from torch import nn

from recurrent_cells.files import scratch_folder
from recurrent_cells.tracking.names import Artifact
from recurrent_cells.tracking.patience import reason

# Pinned, not found out: MLflow would take seconds to watch what a fresh process imports.
REQUIREMENTS = ("mlflow", "numpy", "torch")
PROGRAM = "data/model.pt2"
MOST_TWINS = 100

log = logging.getLogger(__name__)


def save_model(
    folder: Path,
    run_id: str,
    network: nn.Module,
    values: NDArray[Any],
    twin: Path | None = None,
    any_steps: bool = False,
) -> None:
    """Save a network as the MLflow model `folder`/model; one that cannot be exported is a warning.

    The signature has one tensor, since MLflow's own server gives a network of torch no more: where series differ in
    length, NaN stands after the last step of each.

    Args:
        network: on the CPU and in evaluation mode, images (N, H, W) or series (N, T, F) in float32 → probabilities or
            numbers (N, O), or (N, T, O).
        values: images or series; the first two are the input example.
        twin: where a saved model lies, or is to lie, that differs in nothing but the weights; it spares the export.
        any_steps: whether the network takes series of any number of steps.

    Raises:
        OSError: if there is no room.
    """
    target = folder / Artifact.MODEL
    shutil.rmtree(target, ignore_errors=True)
    # One image would fix the number of images to one.
    example = np.resize(values, (2, *values.shape[1:])).astype(np.float32)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of MLflow and torch about themselves
            if twin is None or not _copied(twin, target, run_id, network, example):
                _export(target, run_id, network, example, any_steps)
                if twin is not None:
                    _keep(target, twin)
    except OSError:
        raise
    except Exception as error:
        shutil.rmtree(target, ignore_errors=True)
        log.warning("the network could not be saved as an MLflow model (%s); best.ckpt has its weights", reason(error))


def versions() -> list[str]:
    """Of all that a saved model depends on."""
    return [f"{name}=={version(name).partition('+')[0]}" for name in REQUIREMENTS]


def _export(target: Path, run_id: str, network: nn.Module, example: NDArray[np.float32], any_steps: bool) -> None:
    with torch.no_grad():
        answers = network(torch.from_numpy(example)).shape
    num_steps = -1 if any_steps else example.shape[1]
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, num_steps, example.shape[2]))]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, *([num_steps] * (len(answers) - 2)), answers[-1]))]),
    )
    import mlflow.pytorch

    with _written_by_python():
        mlflow.pytorch.save_model(
            network,
            str(target),
            mlflow_model=Model(artifact_path=Artifact.MODEL, run_id=run_id),
            signature=signature,
            input_example=example,
            pip_requirements=versions(),
            serialization_format="pt2",
        )


@contextmanager
def _written_by_python() -> Iterator[None]:
    """While the body runs, have Python write torch's programs: torch ends the process if a disk is full."""
    own = torch.export.save

    def save(program: torch.export.ExportedProgram, path: str | Path, **options: Any) -> None:
        buffer = io.BytesIO()
        own(program, buffer, **options)
        Path(path).write_bytes(buffer.getbuffer())

    torch.export.save = save  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.export.save = own


def _copied(twin: Path, target: Path, run_id: str, network: nn.Module, example: NDArray[np.float32]) -> bool:
    """Save a network as a copy of its twin with other weights; False if there is none, or none that answers alike."""
    if not twin.is_dir():
        return False
    try:
        shutil.copytree(twin, target)
        program = torch.export.load(target / PROGRAM)
        with torch.no_grad():
            for name, weight in network.state_dict().items():
                program.state_dict[name].copy_(weight)
            values = torch.from_numpy(example)
            torch.testing.assert_close(program.module()(values), network(values))
        with _written_by_python():
            torch.export.save(program, target / PROGRAM)
        model = Model.load(str(target))
        model.run_id, model.model_uuid = run_id, uuid.uuid4().hex
        model.utc_time_created = str(datetime.now(UTC).replace(tzinfo=None))
        model.save(str(target / "MLmodel"))
    except Exception:  # it may be removed meanwhile, broken, or another's; a full disk the export will tell of
        shutil.rmtree(target, ignore_errors=True)
        return False
    return True


def _keep(saved: Path, twin: Path) -> None:
    """Keep a saved model as the twin of later ones; if it cannot be, they are exported."""
    with suppress(OSError):
        with scratch_folder(twin.parent, "new-") as new:
            shutil.copytree(saved, new, dirs_exist_ok=True)
            shutil.rmtree(twin, ignore_errors=True)  # one that was of no use
            new.rename(twin)
        for old in sorted(twin.parent.iterdir(), key=lambda path: path.stat().st_mtime)[:-MOST_TWINS]:
            shutil.rmtree(old, ignore_errors=True)


def warm_up() -> None:
    """Save a small model, so that processes forked from this one need not import and look up what that takes."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(1, 1))
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder), "", network, np.zeros((2, 1, 1), dtype=np.uint8))
