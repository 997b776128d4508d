"""The files that runs leave in MLflow, each written and read here."""

import csv
import io
import json
import tempfile
import zipfile
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
from recurrent_cells.tracking.queries import Earlier, TrialRecord
from recurrent_cells.tracking.server import is_served, read_file
from recurrent_cells.tracking.store import Store

# Of test examples: their outcomes as numbers take a gibibyte.
MOST_OUTCOMES = 1 << 27


class Run(Protocol):
    """A run of which files can be read: a TrialRecord, a ParentRun."""

    @property
    def run_id(self) -> str: ...

    @property
    def artifact_uri(self) -> str: ...


@dataclass(frozen=True)
class HardExample:
    """A test example with its index in the test file, its label and the trial's answer.

    `values` are an image (H, W) in bytes, or a series (T, F) in float32.
    """

    index: int
    label: int
    answer: int
    probability: float
    label_probability: float
    values: NDArray[Any]

    @property
    def is_image(self) -> bool:
        return self.values.dtype == np.uint8


@dataclass(frozen=True)
class PlanEntry:
    """A trial of a sweep's plan.

    Args:
        varied: those of its overrides that vary over the sweep, as they were given.
        steps: the budget of optimiser steps; 0 in plans of earlier versions.
    """

    name: str
    fingerprint: str
    overrides: Sequence[str]
    varied: Mapping[str, str] = field(default_factory=dict)
    n_params: int = 0
    steps: int = 0


@dataclass(frozen=True)
class Question:
    """What a sweep is to answer, and by which of its trials, where it is not just to compare all of them.

    Args:
        until: done or decided.
        seeds: those of the first look, in their order; later looks add the smallest that are not used.
        margin: in points of a share, else in the metric's unit.
        max_seeds: the most seeds of a configuration.
        chosen: fingerprints of trials, one of each configuration that is compared.
        tuning: fingerprints of the trials that chose among settings and are not compared.
        keys: of the settings that they chose.
    """

    until: str
    seeds: list[int]
    margin: float
    max_seeds: int
    chosen: list[str]
    tuning: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


def read_bytes(store: Store, run: Run, name: str) -> bytes | None:
    """A file of a run; None if the run has left none of that name."""
    folder = local_folder(run.artifact_uri)
    if folder is not None:
        return (folder / name).read_bytes() if (folder / name).is_file() else None
    try:
        if is_served(run.artifact_uri):
            return read_file(store, run.artifact_uri, name)
        with tempfile.TemporaryDirectory() as scratch:
            return Path(store.client.download_artifacts(run.run_id, name, scratch)).read_bytes()
    except (MlflowException, OSError):
        return None


def read_text(store: Store, run: Run, name: str) -> str | None:
    content = read_bytes(store, run, name)
    return None if content is None else content.decode()


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    (folder / Artifact.CONFIG).write_text(OmegaConf.to_yaml(OmegaConf.create(dict(config))))


def read_config(store: Store, run: Run) -> bytes | None:
    """The YAML: it may be of another version of the code."""
    return read_bytes(store, run, Artifact.CONFIG)


def write_code(folder: Path, diff: bytes, packages: Sequence[str]) -> None:
    """Write the changes that are in no commit, if there are any, and the packages that are installed."""
    if diff:
        (folder / Artifact.CODE_DIFF).write_bytes(diff)
    (folder / Artifact.PACKAGES).write_text("".join(f"{package}\n" for package in packages))


def read_code(store: Store, run: Run) -> tuple[bytes, list[str]]:
    """What `write_code` wrote; both empty of a run of an earlier version."""
    packages = read_text(store, run, Artifact.PACKAGES) or ""
    return read_bytes(store, run, Artifact.CODE_DIFF) or b"", packages.splitlines()


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


def write_confusion(folder: Path, counts: Sequence[Sequence[int]], names: Sequence[str] | None) -> None:
    """Write counts (C, C) of test examples, rows are labels, columns answers; above them the classes' names, if any."""
    with (folder / Artifact.CONFUSION).open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([*([names] if names else []), *counts])


def read_confusion(store: Store, run: Run) -> tuple[NDArray[np.int64], tuple[str, ...] | None] | None:
    """The counts and the classes' names, as `write_confusion`; None if the trial left none."""
    return confusion_of(read_bytes(store, run, Artifact.CONFUSION) or b"")


def confusion_of(content: bytes) -> tuple[NDArray[np.int64], tuple[str, ...] | None] | None:
    """What `read_confusion` makes of the file's content; raises ValueError if it is damaged."""
    rows = list(csv.reader(io.StringIO(content.decode())))
    if not rows:
        return None
    names = tuple(rows.pop(0)) if len(rows) > len(rows[0]) else None
    return np.array(rows, dtype=np.int64), names


def write_hardest(folder: Path, examples: Sequence[HardExample]) -> None:
    entries = [asdict(it) | {"values": it.values.tolist(), "is_image": it.is_image} for it in examples]
    (folder / Artifact.HARDEST).write_text(json.dumps(entries))


def read_hardest(store: Store, run: Run) -> list[HardExample]:
    """The test examples on whose labels a trial put the least probability, least first; empty if there are none."""
    found = []
    for entry in json.loads(read_text(store, run, Artifact.HARDEST) or "[]"):
        is_image = entry.pop("is_image", True)
        values = entry.pop("values" if "values" in entry else "pixels")  # so called by earlier versions
        found.append(HardExample(**entry, values=np.array(values, dtype=np.uint8 if is_image else np.float32)))
    return found


def write_numbers(folder: Path, answers: NDArray[np.float32], targets: NDArray[np.float32]) -> None:
    """Write the numbers that a trial answered to the test examples, and the true ones, both (N, O)."""
    with (folder / Artifact.NUMBERS).open("wb") as file:
        np.savez(file, answers=answers, targets=targets)


def read_numbers(store: Store, run: Run) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """What `write_numbers` wrote; None if the trial left none."""
    content = read_bytes(store, run, Artifact.NUMBERS)
    return None if content is None else numbers_of(content)


def numbers_of(content: bytes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What `read_numbers` makes of the file's content; raises as `_arrays`."""
    found = _arrays(content)
    return found["answers"], found["targets"]


def write_outcomes(folder: Path, outcomes: NDArray[np.float32]) -> None:
    """Write the metric of each test example (N,): a bit for each where all are 0 or 1, right or wrong."""
    with (folder / Artifact.OUTCOMES).open("wb") as file:
        if np.isin(outcomes, (0, 1)).all():
            np.savez(file, bits=np.packbits(outcomes.astype(bool)), count=len(outcomes))
        else:
            np.savez(file, values=outcomes)


def read_outcomes(store: Store, run: Run) -> NDArray[np.float64] | None:
    """The metric of each test example (N,), in the order of the data; None if the trial has left none."""
    content = read_bytes(store, run, Artifact.OUTCOMES)
    return None if content is None else outcomes_of(content)


def outcomes_of(content: bytes) -> NDArray[np.float64]:
    """What `read_outcomes` makes of the file's content; raises as `_arrays`."""
    found = _arrays(content)
    if "bits" not in found:
        return np.asarray(found["values"], dtype=np.float64)
    bits, count = found["bits"], int(found["count"])
    if not 0 <= count <= min(8 * bits.size, MOST_OUTCOMES):
        raise ValueError(f"{count:,} outcomes in {bits.size:,} bytes")
    return np.unpackbits(bits, count=count).astype(np.float64)


def write_after_step(folder: Path, accuracies: Sequence[float]) -> None:
    """Write the test accuracy after each number of steps read."""
    _write_rows(folder / Artifact.AFTER_STEP, [("step", "accuracy"), *enumerate(accuracies, start=1)])


def read_after_step(store: Store, run: Run) -> list[float]:
    """The test accuracies after 1, 2, … steps; empty if the trial left none."""
    return after_step_of(read_bytes(store, run, Artifact.AFTER_STEP) or b"")


def after_step_of(content: bytes) -> list[float]:
    """What `read_after_step` makes of the file's content; raises ValueError if it is damaged."""
    return [float(line.partition(",")[2]) for line in content.decode().split()[1:]]


def write_plan(store: Store, run_id: str, entries: Sequence[PlanEntry]) -> None:
    """Keep the trials of a sweep with its parent run."""
    keep_text(store, run_id, json.dumps([asdict(entry) for entry in entries], indent=1), Artifact.PLAN)


def read_plan(store: Store, run: Run) -> list[PlanEntry] | None:
    """The trials of a sweep; None if its parent run has no plan."""
    text = read_text(store, run, Artifact.PLAN)
    return None if text is None else [PlanEntry(**entry) for entry in json.loads(text)]


def write_earlier(store: Store, run_id: str, name: str, earlier: Earlier) -> None:
    """Keep with a sweep's parent run which runs had ended when a round of training all again began."""
    keep_text(store, run_id, json.dumps(earlier), Artifact.earlier(name))


def read_earlier(store: Store, run: Run, name: str) -> Earlier:
    """What `write_earlier` wrote of a round; nothing for the empty name."""
    return dict(json.loads(read_text(store, run, Artifact.earlier(name)) or "{}")) if name else {}


def write_search(store: Store, run_id: str, outline: str) -> None:
    """Keep the JSON of a search's ranges and settings with its parent run."""
    keep_text(store, run_id, outline, Artifact.SEARCH)


def read_search(store: Store, run: Run) -> str | None:
    """What `write_search` wrote; None if the sweep is no search."""
    return read_text(store, run, Artifact.SEARCH)


def write_question(store: Store, run_id: str, question: Question) -> None:
    """Keep with a sweep's parent run what the sweep is to answer."""
    keep_text(store, run_id, json.dumps(asdict(question)), Artifact.QUESTION)


def read_question(store: Store, run: Run) -> Question | None:
    """What `write_question` wrote; None if the sweep has a fixed plan, or nothing was chosen yet."""
    text = read_text(store, run, Artifact.QUESTION)
    return None if text is None else Question(**json.loads(text))


def log_file(store: Store, run: Run) -> Path | None:
    """The log of a trial where this machine has it: while the run is under way, or with its artifacts."""
    folders = store.trial_folder(run.run_id) / "artifacts", local_folder(run.artifact_uri)
    return next((it / Artifact.LOG for it in folders if it is not None and (it / Artifact.LOG).exists()), None)


def read_log(store: Store, run: Run) -> str | None:
    """The log of a trial; None if there is none."""
    path = log_file(store, run)
    return read_text(store, run, Artifact.LOG) if path is None else path.read_text(errors="replace")


def has_model(store: Store, run: Run) -> bool:
    """Whether a run has left an MLflow model (`tracking.model` saves them)."""
    return read_bytes(store, run, f"{Artifact.MODEL}/MLmodel") is not None


def _arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file, as `np.savez` writes it; raises ValueError, or an error of zipfile, for another."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(member.file_size for member in archive.infolist()) > len(content):
            raise ValueError("its arrays are compressed")
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        return dict(found)


def _write_rows(path: Path, rows: Sequence[Sequence[object]]) -> None:
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))


def keep_text(store: Store, run_id: str, text: str, name: str) -> None:
    """Keep a text with a run; on this machine it is replaced as a whole, and on the disk then."""
    folder = local_folder(store.client.get_run(run_id).info.artifact_uri)
    if folder is None:
        store.client.log_text(run_id, text, name)
        return
    make_folder(folder)
    write_atomically(folder / name, text.encode())
    sync([folder])
