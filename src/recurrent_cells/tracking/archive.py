"""A sweep's finished trials in one file, from which another store takes them: the sweep goes on in any clone."""

import io
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param

from recurrent_cells.config.schema import EXPERIMENT
from recurrent_cells.errors import UserError
from recurrent_cells.files import make_folder, sync_tree, write_atomically
from recurrent_cells.tracking.artifacts import keep_text, read_bytes, read_text
from recurrent_cells.tracking.histories import History, read_histories
from recurrent_cells.tracking.locks import alone
from recurrent_cells.tracking.manifest import as_tags, describe, local_folder
from recurrent_cells.tracking.names import Artifact, Curve, Tag
from recurrent_cells.tracking.parents import ParentRun, create_parent, read_parent
from recurrent_cells.tracking.provenance import process_tags
from recurrent_cells.tracking.queries import TrialRecord, search, trial_records
from recurrent_cells.tracking.status import set_ended, source_tags
from recurrent_cells.tracking.store import Store, open_store

# What a report reads of a trial; weights and pictures are not kept.
FILES = (
    *(Artifact.CONFIG, Artifact.PACKAGES),
    *(Artifact.OUTCOMES, Artifact.CONFUSION, Artifact.AFTER_STEP, Artifact.NUMBERS),
)
# What a report reads of the sweep.
SWEEP_FILES = (Artifact.PLAN, Artifact.QUESTION, Artifact.STUDY)
NAME = "sweep"  # the sweep's name
COLUMNS = ("name", "fingerprint", "params", "tags", "curves", "files")
# Tags that tell of a store, of a process, or of files that are not taken along.
LEFT_BEHIND = ("mlflow.", "process.", Tag.MANIFEST, Tag.CHECKPOINT_DIGEST, Tag.SWEEP, Tag.OPENED, Tag.ARCHIVE)
TIMES = (Curve.EPOCH_SECONDS, Curve.SAMPLES_PER_SECOND)
AT_ONCE = 1000  # metrics that MLflow takes in one call

# What a file has of a trial, by COLUMNS.
Archived = Mapping[str, Any]


def write_archive(
    store: Store, sweep: ParentRun, records: Sequence[TrialRecord], path: Path, part: bool = False
) -> None:
    """Write a sweep and the finished among its trials to a Parquet file, in an order that does not depend on time.

    Args:
        part: whether the sweep is a part of the one that the file has, whose other trials stay.
    """
    import pyarrow
    from pyarrow import parquet

    finished = [it for it in records if it.status == "FINISHED"]
    keys = sorted({key for record in finished for key in record.metrics if key not in TIMES})
    histories = read_histories(store, [record.run_id for record in finished], keys)
    rows = [_row(store, record, histories.get(record.run_id, {})) for record in finished]
    of_sweep = {name: content for name in SWEEP_FILES if (content := read_text(store, sweep, name)) is not None}
    if part:
        planned = {entry["fingerprint"] for entry in json.loads(of_sweep[Artifact.PLAN])}
        rows += [row for row in read_archive(path) if row["fingerprint"] not in planned]
        of_sweep = _joined(sweep_files(path), of_sweep)
    rows.sort(key=lambda row: (row["name"], row["fingerprint"]))
    text, contents = pyarrow.string(), pyarrow.map_(pyarrow.string(), pyarrow.binary())
    schema = pyarrow.schema(
        [(name, contents if name == "files" else text) for name in COLUMNS], of_sweep | {NAME: sweep.name}
    )
    buffer = io.BytesIO()
    make_folder(path.parent)
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema), buffer, compression="zstd")
    write_atomically(path, buffer.getvalue())


def _joined(whole: Mapping[str, str], part: Mapping[str, str]) -> dict[str, str]:
    """The texts of a sweep with what its part says anew."""
    found = dict(part)
    if plan := json.loads(whole.get(Artifact.PLAN, "[]")):
        entries = {entry["fingerprint"]: entry for entry in [*plan, *json.loads(part[Artifact.PLAN])]}
        found[Artifact.PLAN] = json.dumps(list(entries.values()))
    if Artifact.QUESTION in whole and Artifact.QUESTION in part:
        before, now = json.loads(whole[Artifact.QUESTION]), json.loads(part[Artifact.QUESTION])
        lists = {name: sorted({*before[name], *now[name]}) for name in ("chosen", "tuning")}
        found[Artifact.QUESTION] = json.dumps(now | lists)
    return found


def _row(store: Store, record: TrialRecord, histories: Mapping[str, History]) -> Archived:
    curves = {key: [history.steps.tolist(), history.values.tolist()] for key, history in histories.items()}
    tags = {key: value for key, value in sorted(record.tags.items()) if not key.startswith(LEFT_BEHIND)}
    texts = (json.dumps(it, sort_keys=True) for it in (record.params, tags, curves))
    files = [(name, content) for name in FILES if (content := read_bytes(store, record, name)) is not None]
    return dict(zip(COLUMNS, (record.name, record.fingerprint, *texts, files), strict=True))


@contextmanager
def opened_archive(path: Path) -> Iterator[tuple[Store, ParentRun]]:
    """A store of its own, gone afterwards, that has a sweep and its trials as a file has them.

    Raises:
        UserError: if the file is no archive of a sweep.
    """
    trials = read_archive(path)
    of_sweep = sweep_files(path)
    if Artifact.PLAN not in of_sweep:
        raise UserError(f"archive={path}: no sweep is in it; allowed is a file that sweep.archive=FILE has written")
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(EXPERIMENT, address=f"sqlite:///{folder}/mlflow.db")
        take_in(store, trials, str(path))
        run_id = create_parent(store, of_sweep.get(NAME, ""), plan="archived")
        for name in SWEEP_FILES:
            if name in of_sweep:
                keep_text(store, run_id, of_sweep[name], name)
        set_ended(store, run_id, "FINISHED", {})
        try:
            yield store, read_parent(store, run_id)
        finally:
            store.disconnect()


def sweep_files(path: Path) -> dict[str, str]:
    """The texts by their names that a file has of its sweep."""
    from pyarrow import parquet

    found: Mapping[bytes, bytes] = parquet.read_schema(path).metadata or {} if path.exists() else {}
    return {name.decode(): content.decode() for name, content in found.items()}


def take_in(store: Store, archived: Sequence[Archived], archive: str) -> int:
    """Make a FINISHED run of each trial that has none in the store; how many were made.

    Args:
        archive: the name of the file that the trials are from.
    """
    with alone(store.folder, "archive"):
        for run in search(store, f"tags.{Tag.ARCHIVE} LIKE '%' and attributes.status != 'FINISHED'"):
            store.client.delete_run(run.info.run_id)  # of a process that was killed here
        known = {it.fingerprint for it in trial_records(store) if it.status == "FINISHED"}
        missing = [trial for trial in archived if trial["fingerprint"] not in known]
        for trial in missing:
            _make_run(store, trial, archive)
    return len(missing)


def read_archive(path: Path) -> list[Archived]:
    """The trials of a file, for `take_in`; none of a file that is not there yet.

    Raises:
        UserError: if the file is no archive.
    """
    import pyarrow
    from pyarrow import parquet

    if not path.exists():
        return []
    try:
        table = parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"sweep.archive={path}: not an archive of trials, or damaged ({reason[:120]})") from None
    if tuple(table.column_names) != COLUMNS:
        raise UserError(f"sweep.archive={path}: no archive of trials; its columns are {', '.join(table.column_names)}")
    found: list[Archived] = table.to_pylist()
    return found


def _make_run(store: Store, trial: Archived, archive: str) -> None:
    told = {Tag.FINGERPRINT: trial["fingerprint"], Tag.SWEEP: "", Tag.ARCHIVE: archive}
    tags = json.loads(trial["tags"]) | told | source_tags()
    run = store.client.create_run(store.experiment_id, run_name=trial["name"], tags=tags | process_tags())
    run_id = run.info.run_id
    params = [Param(key, value) for key, value in json.loads(trial["params"]).items()]
    for start in range(0, len(params), 100):
        store.client.log_batch(run_id, params=params[start : start + 100])
    now = int(time.time() * 1000)
    points = [
        Metric(key, value, now, int(step))
        for key, (steps, values) in json.loads(trial["curves"]).items()
        for step, value in zip(steps, values, strict=True)
    ]
    for start in range(0, len(points), AT_ONCE):
        store.client.log_batch(run_id, metrics=points[start : start + AT_ONCE])
    with tempfile.TemporaryDirectory() as scratch:
        written = local_folder(run.info.artifact_uri) or Path(scratch)
        make_folder(written)
        for name, content in trial["files"]:
            if name in FILES:
                (written / name).write_bytes(content)
        if written == Path(scratch):
            store.client.log_artifacts(run_id, scratch)
        else:
            sync_tree(written)
        set_ended(store, run_id, "FINISHED", as_tags(describe(written)))
