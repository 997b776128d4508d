"""What the store knows of trials, in one search."""

import hashlib
import json
import re
import socket
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite, nan
from typing import TYPE_CHECKING

from recurrent_cells.config.schema import block_keys, later_keys
from recurrent_cells.errors import Stopped, UserError
from recurrent_cells.tracking.copies import Copies
from recurrent_cells.tracking.manifest import Faults, in_words, local_folder, of_tags
from recurrent_cells.tracking.names import TEST_WATCHED, Curve, Tag
from recurrent_cells.tracking.store import Store
from recurrent_cells.tracking.tables import LARGEST, Info, Row, database_of, read_runs

if TYPE_CHECKING:
    from mlflow.entities import Run, RunInfo

SHORTEST_ID = 4
# The status of a record whose run says FINISHED and whose files do not bear it out.
DAMAGED = "DAMAGED"


# Runs by the fingerprint of their trial.
Earlier = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class TrialRecord:
    """One run of a trial as the store has it."""

    run_id: str
    name: str
    fingerprint: str
    status: str
    end_time: int
    artifact_uri: str
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]

    @property
    def seconds(self) -> float | None:
        """The time of training and testing."""
        try:
            return float(self.tags[Tag.SECONDS])
        except (KeyError, ValueError):  # a tag can be edited by hand
            return None

    @property
    def error(self) -> str:
        return self.tags.get(Tag.ERROR, "")

    @property
    def stopped(self) -> bool:
        """Whether the trial ended because a tag asked for it."""
        return self.status == "KILLED" and self.error.startswith(Stopped.PREFIX)

    @property
    def pruned(self) -> bool:
        """Whether a search stopped the trial before its budget was spent."""
        return Tag.PRUNED in self.tags

    @property
    def metric(self) -> str:
        """The name of the metric by which the trial is judged."""
        return self.tags.get(Tag.METRIC, "acc")

    @property
    def higher_is_better(self) -> bool:
        return self.tags.get(Tag.HIGHER_IS_BETTER, "true") == "true"

    @property
    def is_share(self) -> bool:
        """Whether the metric is shown in per cent."""
        return self.tags.get(Tag.IS_SHARE, "true") == "true"

    @property
    def selection(self) -> float | None:
        """The best validation value of the metric."""
        return self.metrics.get(Curve.best_val(self.metric))

    @property
    def test(self) -> float | None:
        """The test value of the metric."""
        return self.metrics.get(Curve.test(self.metric))

    @property
    def rank(self) -> tuple[bool, float]:
        """Orders the finished trials of a block: below all others those that watched the test data, then by selection.

        A trial without a finite selection has none: -inf.
        """
        selection = self.selection
        if selection is None or not isfinite(selection):
            return False, float("-inf")
        return self.tags.get(Tag.PROTOCOL) != TEST_WATCHED, selection if self.higher_is_better else -selection

    @cached_property
    def block(self) -> str:
        """The data block, `mnist_5k-1a2b3c`: trials of one are judged alike, on the same sequences and split."""
        earlier = {key: str(value) for key, value in later_keys().items()}
        read = {key: self.params[key] for key in block_keys() if key in self.params and key != "data.name"}
        read = {key: value for key, value in read.items() if value != earlier.get(key)}
        made_of = json.dumps([self.tags.get(Tag.DATA_DIGEST), self.metric, read], sort_keys=True)
        name = re.sub(r"\W", "_", self.params.get("data.name", "data"))
        return f"{name}-{hashlib.sha256(made_of.encode()).hexdigest()[:6]}"


def opened(tags: Mapping[str, str]) -> int:
    """Orders the runs of a trial, and sweeps, whatever the clock said; 0 for those of earlier versions."""
    text = tags.get(Tag.OPENED, "")
    return int(text) if text.isascii() and text.isdecimal() else 0


def opening(known: Iterable[Mapping[str, str]]) -> str:
    """The tag of a run that is opened now, after those with the known tags; a text that sorts as the number does."""
    return f"{1 + max(map(opened, known), default=0):09d}"


def search(store: Store, condition: str = "") -> Iterator["Run"]:
    """All runs of the experiment that meet an MLflow filter, oldest first."""
    token = None
    while True:
        page = store.client.search_runs(
            [store.experiment_id],
            condition,
            max_results=1000,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        yield from page
        token = page.token
        if not token:
            return


def trial_records(store: Store, condition: str = "") -> list[TrialRecord]:
    """The runs that are trials, oldest first; DAMAGED are the FINISHED whose files on this machine are not whole."""
    return [_record(store, *run) for run in _runs(store, condition) if Tag.FINGERPRINT in run.tags]


def _runs(store: Store, condition: str) -> Iterable[Row]:
    if not condition and (found := read_runs(store)) is not None:
        return found
    if database_of(store) is not None:
        return map(_row, search(store, condition))
    from recurrent_cells.tracking import server  # here: it brings MLflow

    return server.read_runs(store, condition)


def _row(run: "Run") -> Row:
    return Row(run.info, run.data.params, run.data.tags, run.data.metrics)


def _record(
    store: Store,
    info: "Info | RunInfo",
    params: Mapping[str, str],
    tags: Mapping[str, str],
    metrics: Mapping[str, float],
) -> TrialRecord:
    record = TrialRecord(
        run_id=info.run_id,
        name=info.run_name or "",
        fingerprint=tags[Tag.FINGERPRINT],
        status=info.status,
        end_time=info.end_time or 0,
        artifact_uri=info.artifact_uri,
        params=dict(params),
        tags=dict(tags),
        metrics={key: value if abs(value) < LARGEST else nan for key, value in metrics.items()},
    )
    if record.status != "FINISHED" or local_folder(record.artifact_uri) is None:
        return record
    faults = faults_of(store, record)
    return replace(record, status=DAMAGED, tags=record.tags | {Tag.ERROR: in_words(faults)}) if faults else record


def faults_of(store: Store, record: TrialRecord, to_the_byte: bool = False) -> Faults:
    """What is missing, empty or altered of a run's files, as far as this machine can see.

    Args:
        to_the_byte: whether files on this machine are read; else, as those of a server, they are judged by their sizes.
    """
    folder, expected = local_folder(record.artifact_uri), of_tags(record.tags)
    copies = Copies(store, record.run_id, folder)
    is_elsewhere = not store.is_file and record.tags.get(Tag.HOST) != socket.gethostname()
    try:
        if folder is not None and is_elsewhere and not folder.exists():
            return {}  # on the disk of the machine that trained it
        return copies.faults(expected) if to_the_byte and folder is not None else copies.faults_by_size(expected)
    except PermissionError:
        return {}


def unpruned(records: Iterable[TrialRecord], but_by: str | None = None) -> list[TrialRecord]:
    """Without trials that a search pruned: they do not stand for their whole length.

    Args:
        but_by: the parent run of a search whose own pruned trials stay, for to it they are done.
    """
    return [record for record in records if not record.pruned or record.tags.get(Tag.PRUNED_BY) == but_by]


def latest_by_fingerprint(records: Iterable[TrialRecord], earlier: Earlier | None = None) -> dict[str, TrialRecord]:
    """For each trial its latest FINISHED run, or its latest run if none is finished.

    Args:
        earlier: runs that do not count, by fingerprint.
    """
    counting = [it for it in records if it.run_id not in (earlier or {}).get(it.fingerprint, ())]
    counting.sort(key=lambda record: (record.status == "FINISHED", opened(record.tags)))
    return {record.fingerprint: record for record in counting}


def best_by_validation(records: Iterable[TrialRecord]) -> TrialRecord | None:
    """The finished trial of the highest rank, the first of equals; no pruned trial, and none without weights."""
    whole = [it for it in unpruned(records) if it.status == "FINISHED" and Tag.ARCHIVE not in it.tags]
    finished = [record for record in whole if isfinite(record.rank[1])]
    return max(finished, key=lambda record: record.rank, default=None)


def best_by_block(records: Iterable[TrialRecord]) -> dict[str, TrialRecord]:
    """The best trial on each data block, by the block's name."""
    blocks: dict[str, list[TrialRecord]] = defaultdict(list)
    for record in records:
        blocks[record.block].append(record)
    return {block: best for block, found in blocks.items() if (best := best_by_validation(found)) is not None}


def find_trial(store: Store, run_id: str, key: str) -> TrialRecord:
    """The trial whose run id is, or begins with, what the user gave as `key`, in any experiment.

    Raises:
        UserError: if there is none, or it is a sweep.
    """
    found = []
    if len(run_id) >= SHORTEST_ID and run_id.isalnum():
        experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
        found = list(store.client.search_runs(experiments, f"attributes.run_id LIKE '{run_id}%'", max_results=2))
    if len(found) != 1:
        fault = "several runs begin so" if found else "no such run"
        raise UserError(f"{key}={run_id}: {fault} in {store.address}; allowed is a trial's run id or its beginning")
    (run,) = found
    if Tag.FINGERPRINT not in run.data.tags:
        raise UserError(f"{key}={run_id}: that is a sweep, give the run id of one of its trials")
    return _record(store, *_row(run))
