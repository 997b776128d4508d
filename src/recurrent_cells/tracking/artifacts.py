"""The files that runs leave in MLflow, each written and read here."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from mlflow.exceptions import MlflowException
from numpy.typing import NDArray
from omegaconf import OmegaConf

from recurrent_cells.errors import UserError
from recurrent_cells.files import make_folder, sync, write_atomically
from recurrent_cells.tracking.manifest import digest, local_folder
from recurrent_cells.tracking.names import Artifact, Tag
from recurrent_cells.tracking.queries import TrialRecord
from recurrent_cells.tracking.store import Store


class Run(Protocol):
    """A run of which files can be read: a TrialRecord, a ParentRun."""

    @property
    def run_id(self) -> str: ...

    @property
    def artifact_uri(self) -> str: ...


@dataclass(frozen=True)
class HardImage:
    """A test image (H, W) in bytes with its index in the test file, its label and the trial's answer."""

    index: int
    label: int
    answer: int
    probability: float
    label_probability: float
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class PlanEntry:
    """A trial of a sweep's plan; `varied` has those of its overrides that vary over the sweep, as they were given."""

    name: str
    fingerprint: str
    overrides: Sequence[str]
    varied: Mapping[str, str] = field(default_factory=dict)
    n_params: int = 0


def read_bytes(store: Store, run: Run, name: str) -> bytes | None:
    """A file of a run; None if the run has left none of that name."""
    if (local := local_folder(run.artifact_uri)) is not None:
        path = local / name
        return path.read_bytes() if path.is_file() else None
    try:
        with tempfile.TemporaryDirectory() as folder:
            return Path(store.client.download_artifacts(run.run_id, name, folder)).read_bytes()
    except (MlflowException, OSError):
        return None


def read_text(store: Store, run: Run, name: str) -> str | None:
    content = read_bytes(store, run, name)
    return None if content is None else content.decode()


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    (folder / Artifact.CONFIG).write_text(OmegaConf.to_yaml(OmegaConf.create(dict(config))))


def read_config(store: Store, run: Run) -> str | None:
    """The YAML text: it may be of another version of the code."""
    return read_text(store, run, Artifact.CONFIG)


def write_checkpoint(folder: Path, content: bytes) -> str:
    """Write the best weights; their SHA-256, which the trial's tags keep for `read_checkpoint`."""
    write_atomically(folder / Artifact.CHECKPOINT, content)
    return digest(content)


def read_checkpoint(store: Store, record: TrialRecord) -> bytes:
    """The best weights of a trial.

    Raises:
        UserError: if there are none, or they are not, to the byte, what the trial wrote.
    """
    content = read_bytes(store, record, Artifact.CHECKPOINT)
    if content is None:
        raise UserError(f"run {record.name} ({record.run_id}, {record.status}) has left no {Artifact.CHECKPOINT}")
    written, found = record.tags.get(Tag.CHECKPOINT_DIGEST), digest(content)
    if written != found:
        fault = "has no digest on record" if written is None else "is not what the trial wrote (SHA-256 differs)"
        raise UserError(f"{Artifact.CHECKPOINT} of run {record.name} ({record.run_id}) {fault}: it is not loaded")
    return content


def write_confusion(folder: Path, counts: Sequence[Sequence[int]]) -> None:
    """Write counts (C, C) of test examples: rows are labels, columns answers."""
    _write_rows(folder / Artifact.CONFUSION, counts)


def read_confusion(store: Store, run: Run) -> NDArray[np.int64] | None:
    text = read_text(store, run, Artifact.CONFUSION)
    return np.array([line.split(",") for line in text.split()], dtype=np.int64) if text else None


def write_hardest(folder: Path, images: Sequence[HardImage]) -> None:
    entries = [asdict(image) | {"pixels": image.pixels.tolist()} for image in images]
    (folder / Artifact.HARDEST).write_text(json.dumps(entries))


def read_hardest(store: Store, run: Run) -> list[HardImage]:
    """The test images on whose labels a trial put the least probability, least first; empty if the trial left none."""
    entries = json.loads(read_text(store, run, Artifact.HARDEST) or "[]")
    return [HardImage(**entry | {"pixels": np.array(entry["pixels"], dtype=np.uint8)}) for entry in entries]


def write_after_step(folder: Path, accuracies: Sequence[float]) -> None:
    """Write the test accuracy after each number of steps read."""
    _write_rows(folder / Artifact.AFTER_STEP, [("step", "accuracy"), *enumerate(accuracies, start=1)])


def read_after_step(store: Store, run: Run) -> list[float]:
    """The test accuracies after 1, 2, … steps; empty if the trial left none."""
    lines = (read_text(store, run, Artifact.AFTER_STEP) or "").split()[1:]
    return [float(line.partition(",")[2]) for line in lines]


def write_plan(store: Store, run_id: str, entries: Sequence[PlanEntry]) -> None:
    """Keep the trials of a sweep with its parent run."""
    _keep_text(store, run_id, json.dumps([asdict(entry) for entry in entries], indent=1), Artifact.PLAN)


def read_plan(store: Store, run: Run) -> list[PlanEntry] | None:
    """The trials of a sweep; None if its parent run has no plan."""
    text = read_text(store, run, Artifact.PLAN)
    return None if text is None else [PlanEntry(**entry) for entry in json.loads(text)]


def write_search(store: Store, run_id: str, outline: str) -> None:
    """Keep the JSON of a search's ranges and settings with its parent run."""
    _keep_text(store, run_id, outline, Artifact.SEARCH)


def read_search(store: Store, run: Run) -> str | None:
    """What `write_search` wrote; None if the sweep is no search."""
    return read_text(store, run, Artifact.SEARCH)


def has_model(store: Store, run: Run) -> bool:
    """Whether a run has left an MLflow model (`tracking.model` saves them)."""
    return read_bytes(store, run, f"{Artifact.MODEL}/MLmodel") is not None


def _write_rows(path: Path, rows: Sequence[Sequence[object]]) -> None:
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))


def _keep_text(store: Store, run_id: str, text: str, name: str) -> None:
    """Keep a text with a run; on this machine it is replaced as a whole, and on the disk then."""
    folder = local_folder(store.client.get_run(run_id).info.artifact_uri)
    if folder is None:
        store.client.log_text(run_id, text, name)
        return
    make_folder(folder)
    write_atomically(folder / name, text.encode())
    sync([folder])
