"""Opening the run of a trial: a killed run is gone on with, else a new one is made, unless others are at the trial."""

import json
import shutil
import socket
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from recurrent_cells.errors import TrialBusy
from recurrent_cells.files import make_folder
from recurrent_cells.tracking.checkout import git_tags
from recurrent_cells.tracking.delivery import OUTCOME
from recurrent_cells.tracking.liveness import SILENCE, cause_of_death, watched
from recurrent_cells.tracking.names import Artifact, Tag
from recurrent_cells.tracking.provenance import is_here, is_this_process, library_tags, process_tags
from recurrent_cells.tracking.queries import opened, opening
from recurrent_cells.tracking.status import set_running, source_tags
from recurrent_cells.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Run


@dataclass(frozen=True)
class DatasetInfo:
    """The sequences of one split, `context` being train, val or test; `profile` has their numbers."""

    name: str
    context: str
    digest: str
    profile: Mapping[str, int]


@dataclass
class RunSpec:
    """The name of a trial's run and what MLflow shows of the trial; tags and params are strings, as MLflow wants them.

    A FINISHED run of the trial makes another needless but for those in `earlier`; where that is None, none does.
    """

    name: str
    fingerprint: str
    tags: dict[str, str]
    params: dict[str, str]
    datasets: list[DatasetInfo] = field(default_factory=list)
    parent: str | None = None
    earlier: Collection[str] | None = None


def open_run(store: Store, spec: RunSpec) -> "Run":
    """Open the trial's run. Called again after a failure of the store, it goes on with the run it made.

    Raises:
        TrialBusy: if another process is training the same trial.
    """
    from mlflow.entities import Param
    from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_PARENT_RUN_ID

    tags = spec.tags | git_tags() | library_tags() | process_tags() | {Tag.FINGERPRINT: spec.fingerprint}
    runs = _runs_of(store, spec.fingerprint)
    tags[Tag.OPENED] = opening(run.data.tags for run in runs)
    known = _known_run(store, runs)
    if known is not None:
        run_id = str(known.info.run_id)
        tags[Tag.SWEEP] = known.data.tags.get(Tag.SWEEP, "")  # a trial has one parent, whoever goes on with it
        set_running(store, run_id, tags)
    else:
        tags |= source_tags() | {MLFLOW_GIT_COMMIT: tags[Tag.GIT_COMMIT]}
        if spec.parent is not None:
            tags[MLFLOW_PARENT_RUN_ID] = spec.parent
        made = store.client.create_run(store.experiment_id, run_name=spec.name, tags=tags)
        run_id = str(made.info.run_id)
        if not store.is_file:
            _give_way(store, spec, run_id)
    folder = store.trial_folder(run_id)
    make_folder(folder / "artifacts")
    for path in [folder / OUTCOME, *(folder / "artifacts").iterdir()]:
        if path.is_dir():  # they are written again; a file that a crash cut short would stay
            shutil.rmtree(path)
        elif path.name != Artifact.LOG:
            path.unlink(missing_ok=True)
    # What does not decide the result (data.root, say) may differ now; MLflow keeps the first value of a param.
    given = known.data.params if known is not None else {}
    params = [Param(key, value) for key, value in spec.params.items() if key not in given]
    for start in range(0, len(params), 100):
        store.client.log_batch(run_id, params=params[start : start + 100])
    if spec.datasets:
        store.client.log_inputs(run_id, [_dataset_input(dataset) for dataset in spec.datasets])
    return known or made


def _dataset_input(info: DatasetInfo) -> "DatasetInput":
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

    dataset = Dataset(
        name=f"{info.name}-{info.context}",
        digest=info.digest,
        source_type="local",
        source=json.dumps({"data": info.name}),
        profile=json.dumps(dict(info.profile)),
    )
    return DatasetInput(dataset, tags=[InputTag(MLFLOW_DATASET_CONTEXT, info.context)])


def _known_run(store: Store, runs: Sequence["Run"]) -> "Run | None":
    """Of a trial's runs that to go on with: the one this process opened, else the latest killed whose files are here.

    Raises:
        TrialBusy: if a process on another host, or one that knows the store by another name, is training it.
    """
    for run in runs:
        tags = run.data.tags
        if run.info.status == "RUNNING" and is_this_process(tags):
            return run
        _refuse_if_under_way(store, run)
    return next((run for run in runs if run.info.status == "KILLED" and _can_go_on(store, run)), None)


def _give_way(store: Store, spec: RunSpec, run_id: str) -> None:
    """Delete a run just made if another machine, whose locks are not ours, has opened or finished one meanwhile.

    Of two machines that look after both have made a run each sees the other's: both may give way, never both go on.

    Raises:
        TrialBusy: if the run was deleted.
    """
    try:
        for run in _runs_of(store, spec.fingerprint):
            if run.info.run_id == run_id:
                continue
            _refuse_if_under_way(store, run)
            if spec.earlier is not None and run.info.status == "FINISHED" and run.info.run_id not in spec.earlier:
                raise TrialBusy(f"trial {spec.fingerprint} was finished by another process just now")
    except TrialBusy:
        store.client.delete_run(run_id)
        raise


def _runs_of(store: Store, fingerprint: str) -> list["Run"]:
    """All runs of a trial, the latest first."""
    condition, order = f"tags.{Tag.FINGERPRINT} = '{fingerprint}'", ["attributes.start_time DESC"]
    runs = store.client.search_runs([store.experiment_id], condition, order_by=order)
    return sorted(runs, key=lambda run: -opened(run.data.tags))


def _refuse_if_under_way(store: Store, run: "Run") -> None:
    run_id, tags = run.info.run_id, run.data.tags
    if run.info.status != "RUNNING" or Tag.PID not in tags or cause_of_death(store, run_id, tags) is not None:
        return
    busy = f"trial {tags[Tag.FINGERPRINT]} is being trained on {tags.get(Tag.HOST)}, process {tags[Tag.PID]}"
    if not is_here(tags):
        seconds = watched(store, run_id, tags)
        busy += f";\nif its heartbeat, watched for {seconds:.0f} s, does not change within {SILENCE:.0f} s, it is gone"
    raise TrialBusy(busy)


def _can_go_on(store: Store, run: "Run") -> bool:
    """Whether a killed run's files are here, or the run was killed on this host before it had any."""
    never_began = run.data.tags.get(Tag.HOST) == socket.gethostname() and not run.data.metrics
    return never_began or store.trial_folder(run.info.run_id).is_dir()


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A nested config as dotted keys and strings, for MLflow's params."""
    params: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            params |= flat(value, f"{prefix}{key}.")
        else:
            params[f"{prefix}{key}"] = str(value)
    return params
