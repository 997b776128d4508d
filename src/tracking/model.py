"""A trial's network as an MLflow model: exported, without pickle, answering images with probabilities."""

import logging
import shutil
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import Schema, TensorSpec
from numpy.typing import NDArray
from torch import nn

from src.tracking.patience import reason

MODEL = "model"
# Pinned, not found out: MLflow would take seconds to watch what a fresh process imports.
REQUIREMENTS = ("mlflow", "numpy", "torch")
# Bytes that a model's files take beside its weights, and more.
ROOM = 1 << 20

log = logging.getLogger(__name__)


def save_model(folder: Path, run_id: str, network: nn.Module, images: NDArray[np.uint8]) -> None:
    """Save a network as the MLflow model `folder`/model; one that cannot be exported is a warning.

    Args:
        network: on the CPU and in evaluation mode, images (N, H, W) in float32 → probabilities (N, C).
        images: (N, H, W) bytes; the first two are the input example.

    Raises:
        OSError: if there is no room.
    """
    target = folder / MODEL
    shutil.rmtree(target, ignore_errors=True)
    _check_room(folder, network)
    # One image would fix the number of images to one.
    example = np.resize(images, (2, *images.shape[1:])).astype(np.float32)
    with torch.no_grad():
        num_classes = network(torch.from_numpy(example)).shape[1]
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, *images.shape[1:]))]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, num_classes))]),
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of MLflow and torch about themselves
            import mlflow.pytorch

            mlflow.pytorch.save_model(
                network,
                str(target),
                mlflow_model=Model(artifact_path=MODEL, run_id=run_id),
                signature=signature,
                input_example=example,
                pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in REQUIREMENTS],
                serialization_format="pt2",
            )
    except OSError:
        raise
    except Exception as error:
        shutil.rmtree(target, ignore_errors=True)
        log.warning("the network could not be saved as an MLflow model (%s); best.ckpt has its weights", reason(error))


def warm_up() -> None:
    """Save a small model, so that processes forked from this one need not import and look up what that takes."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(1, 1))
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder), "", network, np.zeros((2, 1, 1), dtype=np.uint8))


def _check_room(folder: Path, network: nn.Module) -> None:
    """Raises OSError if the model would not fit: torch ends the process where its own writing fails."""
    weights = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(weights + ROOM))
