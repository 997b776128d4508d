"""A sweep's finished trials in one file, from which another store takes them: the sweep goes on in any clone."""

import fcntl
import io
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlflow.entities import Metric, Param

from recurrent_cells.config.schema import EXPERIMENT
from recurrent_cells.files import make_folder, sync_tree, write_atomically
from recurrent_cells.tracking.archived import (
    COLUMNS,
    FILES,
    LEFT_BEHIND,
    MOST_CHARACTERS,
    SWEEP_FILES,
    Archived,
    read_archive,
    read_sweep,
)
from recurrent_cells.tracking.artifacts import keep_text, read_bytes, read_text
from recurrent_cells.tracking.histories import History, read_histories
from recurrent_cells.tracking.locks import alone
from recurrent_cells.tracking.manifest import as_tags, describe, local_folder
from recurrent_cells.tracking.names import Artifact, Curve, Tag
from recurrent_cells.tracking.parents import ParentRun, create_parent, read_parent
from recurrent_cells.tracking.provenance import is_here, process_tags
from recurrent_cells.tracking.queries import TrialRecord, search, trial_records
from recurrent_cells.tracking.status import set_ended, source_tags
from recurrent_cells.tracking.store import Store, open_store

TIMES = (Curve.EPOCH_SECONDS, Curve.SAMPLES_PER_SECOND)
AT_ONCE = 1000  # metrics that MLflow takes in one call


def add_to_archive(
    store: Store, sweep: ParentRun, records: Sequence[TrialRecord], path: Path, part: bool = False
) -> None:
    """Have a sweep and the finished among its trials in a Parquet file, beside trials of others that are there.

    The order does not depend on when the trials ran.

    Args:
        part: whether the sweep is a part of the one that the file has.
    """
    finished = {it.fingerprint: it for it in records if it.status == "FINISHED" and not it.pruned}
    keys = sorted({key for record in finished.values() for key in record.metrics if key not in TIMES})
    histories = read_histories(store, [record.run_id for record in finished.values()], keys)
    told = {name: content for name in SWEEP_FILES if (content := read_text(store, sweep, name)) is not None}
    make_folder(path.parent)
    with _held(path.parent):
        others = [it for it in read_archive(path) if it.fingerprint not in finished]
        own = [_archived(store, record, histories.get(record.run_id, {})) for record in finished.values()]
        _write(
            sorted([*others, *own], key=lambda trial: (trial.name, trial.fingerprint)),
            _joined(read_sweep(path), told) if part else told,
            path,
        )


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """One process at a time adds to the archives of a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _archived(store: Store, record: TrialRecord, histories: Mapping[str, History]) -> Archived:
    curves = {key: (history.steps.tolist(), history.values.tolist()) for key, history in histories.items()}
    tags = {
        key: value
        for key, value in record.tags.items()
        if not key.startswith(LEFT_BEHIND) and len(value) <= MOST_CHARACTERS
    }
    files = {name: content for name in FILES if (content := read_bytes(store, record, name)) is not None}
    return Archived(record.name, record.fingerprint, record.params, tags, curves, files)


def _joined(whole: Mapping[str, str], part: Mapping[str, str]) -> dict[str, str]:
    """The texts of a sweep with what a part of the sweep says anew."""
    found = dict(part)
    if Artifact.PLAN in whole:
        entries = [*json.loads(whole[Artifact.PLAN]), *json.loads(part[Artifact.PLAN])]
        found[Artifact.PLAN] = json.dumps(list({entry["fingerprint"]: entry for entry in entries}.values()))
    if Artifact.QUESTION in whole and Artifact.QUESTION in part:
        before, now = json.loads(whole[Artifact.QUESTION]), json.loads(part[Artifact.QUESTION])
        lists = {name: sorted({*before[name], *now[name]}) for name in ("chosen", "tuning")}
        found[Artifact.QUESTION] = json.dumps(now | lists)
    return found


def _write(trials: Sequence[Archived], told: Mapping[str, str], path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    rows = []
    for trial in trials:
        texts = (json.dumps(it, sort_keys=True) for it in (trial.params, trial.tags, trial.curves))
        rows.append(dict(zip(COLUMNS, (trial.name, trial.fingerprint, *texts, list(trial.files.items())), strict=True)))
    text, contents = pyarrow.string(), pyarrow.map_(pyarrow.string(), pyarrow.binary())
    schema = pyarrow.schema([(name, contents if name == "files" else text) for name in COLUMNS], told)
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema), buffer, compression="zstd")
    write_atomically(path, buffer.getvalue())


@contextmanager
def opened_archive(path: Path) -> Iterator[tuple[Store, ParentRun]]:
    """A store of its own, gone afterwards, that has a sweep and its trials as a file has them.

    Raises:
        UserError: if the file has no sweep, or is damaged.
    """
    trials, told = read_archive(path), read_sweep(path)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(EXPERIMENT, address=f"sqlite:///{folder}/mlflow.db")
        take_in(store, trials, str(path))
        run_id = create_parent(store, path.stem, plan=path.stem)
        for name, content in told.items():
            keep_text(store, run_id, content, name)
        set_ended(store, run_id, "FINISHED", {})
        try:
            yield store, read_parent(store, run_id)
        finally:
            store.disconnect()


def take_in(store: Store, archived: Sequence[Archived], archive: str) -> int:
    """Make a FINISHED run of each trial that has none in the store; how many were made.

    Args:
        archive: the name of the file that the trials are from.
    """
    with alone(store.folder, "archive"):
        for run in search(store, f"tags.{Tag.ARCHIVE} LIKE '%' and attributes.status != 'FINISHED'"):
            if run.info.status != "RUNNING" or is_here(run.data.tags):  # of a process that was killed here
                store.client.delete_run(run.info.run_id)
        known = {it.fingerprint for it in trial_records(store) if it.status == "FINISHED"}
        missing = [trial for trial in archived if trial.fingerprint not in known]
        for trial in missing:
            _make_run(store, trial, archive)
    return len(missing)


def _make_run(store: Store, trial: Archived, archive: str) -> None:
    told = {Tag.FINGERPRINT: trial.fingerprint, Tag.SWEEP: "", Tag.ARCHIVE: archive}
    tags = {**trial.tags, **told, **source_tags(), **process_tags()}
    run = store.client.create_run(store.experiment_id, run_name=trial.name, tags=tags)
    run_id = run.info.run_id
    params = [Param(key, value) for key, value in trial.params.items()]
    for start in range(0, len(params), 100):
        store.client.log_batch(run_id, params=params[start : start + 100])
    now = int(time.time() * 1000)
    points = [
        Metric(key, value, now, int(step))
        for key, (steps, values) in trial.curves.items()
        for step, value in zip(steps, values, strict=True)
    ]
    for start in range(0, len(points), AT_ONCE):
        store.client.log_batch(run_id, metrics=points[start : start + AT_ONCE])
    with tempfile.TemporaryDirectory() as scratch:
        written = local_folder(run.info.artifact_uri) or Path(scratch)
        make_folder(written)
        for name, content in trial.files.items():
            (written / name).write_bytes(content)
        if written == Path(scratch):
            store.client.log_artifacts(run_id, scratch)
        else:
            sync_tree(written)
        set_ended(store, run_id, "FINISHED", as_tags(describe(written)))
