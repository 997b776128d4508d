"""The life of a trial: opened as a run, trained, tested, its files kept, ended."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from recurrent_cells.config.schema import Config
from recurrent_cells.data.splits import Splits, load_splits
from recurrent_cells.interrupts import Interruption, handled
from recurrent_cells.models.classifier import build_classifier, num_parameters
from recurrent_cells.tasks import Task
from recurrent_cells.tracking.artifacts import write_code, write_config
from recurrent_cells.tracking.checkout import code_diff
from recurrent_cells.tracking.journal import Courier
from recurrent_cells.tracking.names import Curve, Tag
from recurrent_cells.tracking.patience import patiently
from recurrent_cells.tracking.provenance import packages
from recurrent_cells.tracking.recovery import take_end
from recurrent_cells.tracking.run import trial_run
from recurrent_cells.tracking.store import Store, open_store
from recurrent_cells.training import state
from recurrent_cells.training.artifacts import write_results
from recurrent_cells.training.device import Device, flush_denormals, resolve_device, use_tf32, use_threads
from recurrent_cells.training.fit import Fit, test
from recurrent_cells.training.member import Member
from recurrent_cells.training.progress import Progress
from recurrent_cells.training.pruning import Pruning, pruned_at
from recurrent_cells.training.schedule import Schedule
from recurrent_cells.trial.claim import result_of
from recurrent_cells.trial.fingerprint import fingerprint
from recurrent_cells.trial.judge import judge_of
from recurrent_cells.trial.model import save_network
from recurrent_cells.trial.spec import flushes_denormals, run_spec, trial_task

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Surroundings:
    """What trials of one shape share: data, task, device and store."""

    splits: Splits
    task: Task
    device: Device
    store: Store

    @cached_property
    def data(self) -> Splits:
        """The splits on the device."""
        return self.device.hold(self.splits)


def surroundings(config: Config) -> Surroundings:
    """Set this process up for a trial; raises UserError if device, data or store will not do."""
    use_threads(config.trainer.threads)  # first of all: initial weights too depend on it
    use_tf32(config.trainer.tf32)
    device = resolve_device(config.trainer)
    splits = load_splits(config.data)
    task = trial_task(config, splits)
    flush_denormals(flushes_denormals(config, splits))
    alone, patience = config.sweep.parent is None, config.tracking.patience
    # A sweep has begun with a store that answered: its trials wait for one that is away.
    store = patiently(lambda: open_store(config.tracking.experiment, patience), 0 if alone else patience)
    return Surroundings(splits, task, device, store)


@contextmanager
def opened(config: Config, around: Surroundings, courier: Courier | None = None) -> Iterator[Member]:
    """A trial as an open run, standing where it was if it was killed; raises as `trial_run`."""
    splits = around.splits
    sizes = splits.num_features, splits.num_outputs
    classifier = build_classifier(config.model, *sizes, config.seed, splits.num_steps)
    with trial_run(around.store, run_spec(config, splits, classifier, around.device), courier) as run:
        run.keep(lambda: write_config(run.artifacts, asdict(config)))
        run.keep(lambda: write_code(run.artifacts, code_diff(), packages()))
        schedule = Schedule.from_config(config.trainer, len(splits.train), config.data.batch_size)
        member = Member(config, classifier, Progress(config, schedule, around.task, run.journal.write), run)
        if run.state_file.exists():
            member.state = state.load(run.state_file)
            member.progress.load_state_dict(member.state)
        try:
            yield member
        finally:
            if member.progress.time_used_at is not None:
                run.tags[Tag.TIME_USED] = str(member.progress.time_used_at)


def finish(member: Member, around: Surroundings, interruption: Interruption) -> dict[str, Any]:
    """Test a trained member and keep its files; what is said of the trial."""
    tested = test(member, around.data, around.task, around.device, interruption)
    run, progress, config = member.run, member.progress, member.config
    seconds = progress.seconds()
    run.tags[Tag.SECONDS] = f"{seconds:.2f}"
    run.tags[Tag.CHECKPOINT_DIGEST] = run.keep(lambda: write_results(run.artifacts, member, tested, around.splits))
    if config.registry:
        run.keep(lambda: save_network(run, config, member.classifier, around.splits))
    assert progress.best is not None
    result = {
        "run_id": run.run_id,
        "name": run.name,
        "n_params": num_parameters(member.classifier),
        "seconds": seconds,
        "metric": around.task.metric,
        Curve.val(around.task.metric): progress.best.value,
    }
    return result | {name: progress.latest[name] for name in (Curve.TEST_LOSS, Curve.test(around.task.metric))}


def live(config: Config) -> dict[str, Any]:
    """Train and test one config that can start, as one MLflow run; returns and raises as `train`.

    A trial alone whose process was killed when the trial was over is told of and not trained again.
    """
    around = surroundings(config)
    if config.sweep.parent is None:
        trial, store = fingerprint(config, around.splits.digest), around.store
        ended = patiently(lambda: take_end(store, trial), store.patience)
        if ended is not None:
            log.info("this trial was finished by a process that could not say so any more")
            return result_of(ended)
    judge = judge_of(config.sweep, around.store)
    with handled() as interruption, opened(config, around) as member:
        pruning = None if judge is None else Pruning(judge, member.run)
        Fit(around.data, around.task, around.device, interruption, _raise_error, 1, pruning=pruning)([member])
        return finish(member, around, interruption) | pruned_at(member.run)


def _raise_error(member: Member) -> None:
    if member.error is not None:
        raise member.error
