"""Commands in processes forked from this one, which has everything imported, and what they leave in a store."""

import gc
import hashlib
import os
import pickle
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.crash_points.tracer import run_and_exit

if TYPE_CHECKING:
    from recurrent_cells.tracking.archived import Archived

EXPERIMENT = "recurrent-cells"
ARCHIVE = "trials.parquet"
TIMINGS = {"epoch_seconds", "samples_per_second"}
# Files that two runs of one trial write differently: times and ids are in them.
OWN = ("train.log", "model/MLmodel", "model/input_example.json", "search.json")


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    said: str


@dataclass
class Evidence:
    """What lies in a store.

    Args:
        finished: how many FINISHED runs a trial has, by fingerprint.
        others: runs that are not FINISHED, in words.
        points: of each finished trial, by metric: steps and values; of metrics that measure time the steps.
        files: of each finished trial the digest of each file, of those with times in them whether they are empty.
        parents: status and counts of each sweep.
        study: state and values of each trial of a search.
        archive: a digest of each trial in the archive.
        leftovers: files that no finished run needs.
    """

    finished: Counter[str] = field(default_factory=Counter)
    others: list[str] = field(default_factory=list)
    points: dict[str, dict[str, list[tuple[int, float]]]] = field(default_factory=dict)
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    parents: list[dict[str, str]] = field(default_factory=list)
    study: list[str] = field(default_factory=list)
    archive: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)


class Place:
    """A folder with an empty store, to which it can be set back, and the commands that are run on it."""

    def __init__(self, folder: Path) -> None:
        self.store, self.log = folder / "store", folder / "said.log"
        self.scratch, self._empty = folder / "tmp", folder / "empty"
        self.store.mkdir(parents=True)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{self.store}/mlflow.db"
        self.reset_scratch()
        in_child(_make)
        shutil.copytree(self.store, self._empty)

    def reset(self) -> None:
        shutil.rmtree(self.store, ignore_errors=True)
        shutil.copytree(self._empty, self.store)
        self.reset_scratch()

    def undisturbed(self, arguments: Sequence[str]) -> Evidence:
        """What a command leaves; what it exports is kept for later runs to copy, as an export takes seconds."""
        self.reset()
        ended = self.run(arguments)
        if ended.code:
            raise RuntimeError(f"undisturbed, the command ends with {ended.code}: {ended.said}")
        new = {path.name for path in (self.store / "models").glob("*")}
        if new <= {path.name for path in (self._empty / "models").glob("*")}:
            return self.evidence()
        shutil.copytree(self.store / "models", self._empty / "models", dirs_exist_ok=True)
        return self.undisturbed(arguments)

    def keep_archive(self, arguments: Sequence[str]) -> None:
        """Have in each store from now on the archive that a command makes; none for no arguments."""
        (self._empty / ARCHIVE).unlink(missing_ok=True)
        if arguments:
            self.undisturbed(arguments)
            shutil.copy(self.store / ARCHIVE, self._empty / ARCHIVE)

    def trial_folders(self) -> list[Path]:
        return list((self.store / "trials").iterdir()) if (self.store / "trials").is_dir() else []

    def reset_scratch(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()
        os.environ["TMPDIR"] = tempfile.tempdir = str(self.scratch)

    def body(self, arguments: Sequence[str]) -> Callable[[], int]:
        """What `python -m src.train ARGUMENTS` does in a process of its own, its output in the log."""

        def run() -> int:
            from matplotlib.figure import Figure

            from recurrent_cells.cli import train
            from recurrent_cells.cli.leaving import run_and_leave

            _write_to(self.log)
            os.environ.pop("HYDRA_FULL_ERROR", None)  # a command run in this process has set it
            # Drawing takes a third of a trial of four steps; what matters here is that the file is written.
            Figure.savefig = _write_quickly  # type: ignore[method-assign, assignment]
            sys.argv = ["train.py"]
            run_and_leave(lambda: train.main([it.replace("STORE", str(self.store)) for it in arguments]))

        return run

    def run(self, arguments: Sequence[str], seconds: int = 300) -> Ended:
        return self.ended(wait(fork(self.body(arguments)), seconds))

    def ended(self, code: int) -> Ended:
        return Ended(code, self.log.read_text(errors="replace") if self.log.exists() else "")

    def evidence(self) -> Evidence:
        found = in_child(lambda: _evidence(self.store))
        assert isinstance(found, Evidence)
        return found

    def doctor(self) -> None:
        """Repair what there is to repair."""
        in_child(_examine)


def warm_up(arguments: Sequence[str], store: Path) -> None:
    """Run a command once in this process, so that the processes forked from here have all it imports and looks up."""
    from recurrent_cells.tracking.store import quiet_mlflow

    quiet_mlflow()
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{store}/mlflow.db"
    import recurrent_cells.inference.champion
    import recurrent_cells.sweeps.search.sweeper
    import recurrent_cells.trial.pack  # noqa: F401
    from recurrent_cells.cli import train

    sys.argv = ["train.py"]
    train.main(list(arguments))
    gc.collect()
    gc.freeze()  # else a collection in a child touches, and so copies, every object of this process


def fork(body: Callable[[], int]) -> int:
    """Run a body in a process group of its own; the child's id."""
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        run_and_exit(body)
    return pid


def wait(pid: int, seconds: int) -> int:
    """The exit code of a child, which is killed when it has had so many seconds."""
    with limited(pid, seconds):
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@contextmanager
def limited(pid: int, seconds: int) -> Iterator[None]:
    """Kill a child if the body takes longer than so many seconds."""
    before = signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def in_child(work: Callable[[], Any], seconds: int = 120) -> Any:
    """What `work` returns, done in a process of its own, which keeps no store open here."""
    reader, writer = os.pipe()

    def body() -> int:
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(work(), pipe)
        return 0

    pid = fork(body)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe, limited(pid, seconds):
        content = pipe.read()
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code or not content:
        raise RuntimeError("what was to be done in a process of its own has failed")
    return pickle.loads(content)


def _write_quickly(_figure: object, path: Path, **_settings: Any) -> None:
    Path(path).write_bytes(b"a picture")


def _write_to(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout = sys.stderr = os.fdopen(descriptor, "w", buffering=1)


def _make() -> None:
    from recurrent_cells.tracking.store import open_store
    from recurrent_cells.trial.study_storage import make_storage

    make_storage(open_store(EXPERIMENT).folder)


def _examine() -> None:
    from recurrent_cells.cli.doctor import examine
    from recurrent_cells.tracking.store import open_store

    examine(open_store(EXPERIMENT))


def _evidence(folder: Path) -> Evidence:
    from recurrent_cells.tracking.archived import read_archive
    from recurrent_cells.tracking.names import Tag
    from recurrent_cells.tracking.queries import search
    from recurrent_cells.tracking.store import open_store

    store = open_store(EXPERIMENT)
    found = Evidence()
    for run in search(store):
        tags, status, run_id = run.data.tags, run.info.status, run.info.run_id
        fingerprint = tags.get(Tag.FINGERPRINT)
        if fingerprint is None:
            counts = {key: tags.get(key, "") for key in (Tag.TRIALS, "sweep.finished", "sweep.failed")}
            found.parents.append({"status": status} | counts)
            continue
        if status != "FINISHED":
            found.others.append(f"{run.info.run_name} {status} ({tags.get(Tag.ERROR, '')})")
            continue
        found.finished[fingerprint] += 1
        histories = {key: store.client.get_metric_history(run_id, key) for key in run.data.metrics}
        found.points[fingerprint] = {
            key: [(point.step, 0.0 if key in TIMINGS else point.value) for point in history]
            for key, history in histories.items()
        }
        found.files[fingerprint] = dict(_files(folder / "artifacts" / run_id / "artifacts"))
    found.leftovers = sorted(str(path.relative_to(folder)) for path in _leftovers(folder))
    if (folder / "optuna.db").exists():
        found.study = _study(folder)
    if (folder / ARCHIVE).exists():
        found.archive = [_digest_of(trial) for trial in read_archive(folder / ARCHIVE)]
    return found


def _digest_of(trial: "Archived") -> str:
    """Of a trial in an archive; of tags and curves, in which there are times, the names."""
    made_of = [trial.name, trial.fingerprint, sorted(trial.tags), sorted(trial.curves), sorted(trial.files)]
    return f"{trial.name} {hashlib.sha256(str([*made_of, trial.curves]).encode()).hexdigest()[:8]}"


def _files(folder: Path) -> list[tuple[str, str]]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(str(path.relative_to(folder)), _digest(path, str(path.relative_to(folder)))) for path in paths]


def _digest(path: Path, name: str) -> str:
    content = path.read_bytes()
    if name in OWN or name.startswith("model/"):
        return "empty" if not content else "there"
    if name == "best.ckpt" and content:
        weights = torch.load(path, weights_only=True)["weights"]
        content = b"".join(key.encode() + weights[key].numpy().tobytes() for key in sorted(weights))
    if name == "config.yaml":
        content = re.sub(rb"parent: \w+", b"parent: RUN", content)
    return hashlib.sha256(content).hexdigest()


def _leftovers(folder: Path) -> list[Path]:
    kept = {"mlflow.db", "mlflow.db-wal", "mlflow.db-shm", "optuna.db", "optuna.db-wal", "optuna.db-shm"}
    kept |= {"artifacts", "locks", "trials", "models", ARCHIVE}
    found = [path for path in folder.iterdir() if path.name not in kept]
    for inside in ("trials", "models"):
        with suppress(FileNotFoundError):
            found += (folder / inside).iterdir()
    return found


def _study(folder: Path) -> list[str]:
    import optuna

    from recurrent_cells.trial.study_storage import connect

    storage = connect(folder)
    studies = [optuna.load_study(study_name=it.study_name, storage=storage) for it in storage.get_all_studies()]
    return [
        f"{trial.number} {trial.state.name} {trial.values} {sorted(trial.params.items())}"
        for study in studies
        for trial in study.get_trials(deepcopy=False)
    ]
