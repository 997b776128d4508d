"""Stores from elsewhere whose files would run code, or are damaged."""

import gc
import hashlib
import io
import os
import pickle
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks.malformed.files import IDX_FILES, SHORT, good_files
from benchmarks.malformed.sandbox import Case, Sandbox
from benchmarks.malformed.series import training_line
from recurrent_cells.tracking.names import Artifact, Tag

TRIAL = (*SHORT, "data.batch_size=8", "model.hidden_size=4")


class Evil:
    """What makes a file in the working folder when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("ran",)


def untrained(sandbox: Sandbox) -> None:
    """An empty store, and in this process all that commands import."""
    import mlflow.pytorch  # noqa: F401

    import recurrent_cells.inference.champion
    import recurrent_cells.inference.evaluation
    import recurrent_cells.inference.export
    import recurrent_cells.reports.write
    import recurrent_cells.serving.app
    import recurrent_cells.sweeps.search.search
    import recurrent_cells.sweeps.sweep
    import recurrent_cells.trial.warm  # noqa: F401

    torch.set_num_threads(1)
    (sandbox.bad / "rerun.pickle").write_bytes(pickle.dumps(Evil()))
    good = sandbox.bad / "good"
    good.mkdir()
    for file, content in zip(IDX_FILES, good_files(), strict=True):
        (good / file).write_bytes(content)
    gc.collect()
    gc.freeze()  # else a collection in a child touches, and so copies, every object of this process
    _in_a_child(sandbox, "train", "sweep.dry_run=true")  # keeps the default data where later ones read them at once


def trained(sandbox: Sandbox) -> None:
    """A store with a finished trial."""
    _in_a_child(sandbox, "train", *_line(sandbox))


def trained_on_series(sandbox: Sandbox) -> None:
    """A finished trial on series, beside that on images."""
    _in_a_child(sandbox, "train", *training_line(sandbox.bad))


def cases(sandbox: Sandbox) -> Iterator[Case]:
    """Each with the store damaged, until the next is asked for."""
    (artifacts,) = sandbox.store.parent.glob("artifacts/*/artifacts")
    reading = {
        "evaluate": ("run=best",),
        "predict": ("run=best", f"images={sandbox.bad / 'pictures'}"),
        "export": ("run=best", "format=torch", "to=out.pt2"),
        "serve": ("0",),
    }
    for name, content in _checkpoints(artifacts / Artifact.CHECKPOINT).items():
        for command, arguments in reading.items():
            if command != "evaluate" and "code" not in name and "pickle" not in name:
                continue
            with _replaced(sandbox, artifacts / Artifact.CHECKPOINT, content):
                yield Case("stores", f"{command}: a checkpoint {name}", command, arguments)
    again = ("train", (f"reproduce={artifacts.parent.name}",))
    for name, content in {
        "with a tag that runs code": b"seed: !!python/object/apply:os.mkdir [ran]",
        "that is no YAML": b"a: [1, 2\nb: }{",
        "of bytes": bytes(range(256)),
        "that is empty": b"",
        "that is a list": b"[1, 2]",
        "with an unknown key": b"absent: 3",
        "of a huge network": b"model: {hidden_size: 10000000}",
    }.items():
        with _replaced(sandbox, artifacts / Artifact.CONFIG, content):
            yield Case("stores", f"reproduce: a config {name}", *again)
    code = artifacts / "cell.py"
    config = (artifacts / Artifact.CONFIG).read_bytes()
    code.write_bytes(b"import os\nos.mkdir('ran')\n")
    with (
        _replaced(
            sandbox, artifacts / Artifact.CONFIG, config.replace(b"extensions: []", f"extensions: [{code}]".encode())
        ),
        _tagged(sandbox, "extensions.digest", hashlib.sha256(code.read_bytes()).hexdigest()),
    ):
        yield Case("stores", "reproduce: an extension that lies in the store", *again)


def _line(sandbox: Sandbox) -> tuple[str, ...]:
    return (*TRIAL, f"data.root={sandbox.bad / 'good'}")


def _in_a_child(sandbox: Sandbox, command: str, *arguments: str) -> None:
    verdict = sandbox.run(Case("", "", command, arguments, code=0), patience=300)
    if "ended with" in " ".join(verdict.faults):
        raise SystemExit(f"{verdict.faults}: {verdict.said}")


def _checkpoints(path: Path) -> dict[str, bytes]:
    content = torch.load(io.BytesIO(path.read_bytes()), weights_only=True)

    def saved(changed: object) -> bytes:
        buffer = io.BytesIO()
        torch.save(changed, buffer)
        return buffer.getvalue()

    config = content["config"]
    huge = config | {"model": config["model"] | {"hidden_size": 10_000_000}}
    return {
        "that runs code": saved(content | {"more": Evil()}),
        "that is a pickle": pickle.dumps(Evil()),
        "that is empty": b"",
        "that is cut short": path.read_bytes()[:-100],
        "that holds a list": saved([1, 2]),
        "that lacks its weights": saved({key: it for key, it in content.items() if key != "weights"}),
        "with weights of other shapes": saved(content | {"weights": {"a": torch.zeros(3)}}),
        "of a huge network": saved(content | {"config": huge}),
        "of a thousand million classes": saved(content | {"num_classes": 10**9}),
        "with texts for numbers": saved(content | {"num_features": "abc"}),
        "with an unknown cell": saved(content | {"config": config | {"model": config["model"] | {"cell": "absent"}}}),
        "with a config of texts": saved(content | {"config": "abc"}),
    }


@contextmanager
def _replaced(sandbox: Sandbox, path: Path, content: bytes) -> Iterator[None]:
    """A file of the run with another content, and the digest of that on record."""
    before = path.read_bytes()
    path.write_bytes(content)
    with _tagged(
        sandbox, Tag.CHECKPOINT_DIGEST, hashlib.sha256((path.parent / Artifact.CHECKPOINT).read_bytes()).hexdigest()
    ):
        yield
    path.write_bytes(before)


@contextmanager
def _tagged(sandbox: Sandbox, key: str, value: str) -> Iterator[None]:
    with _connected(sandbox) as connection:
        before = connection.execute("SELECT run_uuid, value FROM tags WHERE key = ?", (key,)).fetchall()
        (run,) = connection.execute("SELECT run_uuid FROM runs WHERE status = 'FINISHED'").fetchone()
        connection.execute("INSERT OR REPLACE INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", (key, value, run))
    yield
    with _connected(sandbox) as connection:
        connection.execute("DELETE FROM tags WHERE key = ?", (key,))
        connection.executemany(
            "INSERT INTO tags (key, run_uuid, value) VALUES (?, ?, ?)", [(key, *it) for it in before]
        )


@contextmanager
def _connected(sandbox: Sandbox) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(sandbox.store)
    try:
        with connection:
            yield connection
    finally:
        connection.close()
