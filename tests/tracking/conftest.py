"""A store, runs in it, and stores and disks that fail when told to."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.entities import PagedList

from recurrent_cells.tracking.opening import RunSpec
from recurrent_cells.tracking.provenance import process_tags
from recurrent_cells.tracking.store import Store, open_store


@pytest.fixture
def store(store_file: Path) -> Store:
    return open_store("cells", patience=0)


@pytest.fixture
def run_of(store: Store) -> Callable[..., str]:
    """`run_of("abc", status="RUNNING", …)` makes a run of a fingerprint that this process seems to train; its id."""

    def made(fingerprint: str, status: str = "RUNNING", folder: bool = True, **tags: str) -> str:
        tags = {**process_tags(), **{key.replace("_", "."): value for key, value in tags.items()}}
        run_id = store.client.create_run(
            store.experiment_id, run_name=f"trial-{fingerprint}", tags=tags | {"fingerprint": fingerprint}
        ).info.run_id
        if status != "RUNNING":
            store.client.set_terminated(run_id, status=status)
        if folder:
            (store.trial_folder(run_id) / "artifacts").mkdir(parents=True)
        return run_id

    return made


@pytest.fixture
def spec() -> RunSpec:
    return RunSpec("gru-h8x1-s0", "abc", tags={"cell": "gru"}, params={"seed": "0"})


class Recorder:
    """Stands for MLflow's client: keeps the metrics it is sent, fails while `away`."""

    def __init__(self) -> None:
        self.away = False
        self.batches: list[list[tuple[str, float, int, int]]] = []
        self.tags: list[tuple[str, str]] = []

    def log_batch(self, run_id: str, metrics: list) -> None:
        if self.away:
            raise MlflowException("away")
        self.batches.append([(point.key, point.value, point.step, point.timestamp) for point in metrics])

    def search_runs(self, *_: object, **__: object) -> PagedList:
        return PagedList([], None)

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        self.tags.append((run_id, key))

    @property
    def points(self) -> list[tuple[str, float, int]]:
        return [point[:3] for batch in self.batches for point in batch]


@pytest.fixture
def client() -> Recorder:
    return Recorder()


class Disk:
    """A disk that takes `room` bytes more of what is spooled; None is any number."""

    room: int | None = None


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk, write = Disk(), os.write

    def limited(descriptor: int, content: bytes) -> int:
        if disk.room is None:
            return write(descriptor, content)
        if disk.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(descriptor, bytes(content[: disk.room]))
        disk.room -= written
        return written

    monkeypatch.setattr("recurrent_cells.tracking.spool.os.write", limited)
    return disk
