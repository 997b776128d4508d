"""Processes that train and search in one store, killed at any of their writes: what the store says stays true."""

import gc
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from optuna.trial import TrialState

from benchmarks.crash_points.points import Striker
from benchmarks.crash_points.tracer import KILL, can_trace, run_traced
from recurrent_cells.config.schema import Config
from recurrent_cells.errors import Interrupted, TrialBusy, TrialError
from recurrent_cells.files import write_atomically
from recurrent_cells.sweeps.search.ranges import Interval
from recurrent_cells.sweeps.search.settings import SearchSettings
from recurrent_cells.sweeps.search.space import Space
from recurrent_cells.sweeps.search.study import Study, values_of
from recurrent_cells.tracking.queries import search
from recurrent_cells.tracking.recovery import recover
from recurrent_cells.tracking.run import RunSpec, trial_run
from recurrent_cells.tracking.store import Store, open_store
from recurrent_cells.trial.claim import claim, finished_run
from recurrent_cells.trial.study_storage import make_storage

pytestmark = pytest.mark.skipif(not can_trace(), reason="processes cannot be traced here")

STEPS, POINTS = 5, 3
TRIALS = ("one", "other")
DONE, BUSY, FAILED, INTERRUPTED = 0, 10, 11, 12
# A kill at so many writes of a process: its first ones, or late ones; 0 is none. A whole trial has about 120.
KILLS = st.one_of(st.just(0), st.integers(1, 140))


def value(trial: str, key: str, step: int) -> float:
    return step + TRIALS.index(trial) / 8 + (key == "acc") / 2


def train(store: Store, trial: str, until: int, delivers_at: int) -> None:
    """What a sweep does with a trial; it ends before its last step as one that was interrupted."""
    with claim(store, trial):
        if finished_run(store, trial) is not None:
            return
        with trial_run(store, RunSpec(trial, trial, {}, {"seed": "0"})) as run:
            step = int(run.state_file.read_bytes()) if run.state_file.exists() else 0
            while step < until:
                step += 1
                run.journal.write({key: value(trial, key, step) for key in ("loss", "acc")}, step)
                if step == delivers_at:
                    run.journal.deliver(store.client, run.run_id)
                if step % 2 == 0:
                    done = str(step).encode()
                    run.checkpoint(lambda path, done=done: write_atomically(path, done))
            if step < STEPS:
                raise Interrupted(signal.SIGTERM)
            run.keep(lambda: (run.artifacts / "best.ckpt").write_text(f"weights of {trial}"))


def fail(store: Store, trial: str) -> None:
    with claim(store, trial):
        if finished_run(store, trial) is None:
            with trial_run(store, RunSpec(trial, trial, {}, {})):
                raise TrialError("loss is not finite")


def open_study(store: Store) -> Study:
    space = Space(lambda overrides: Config(), (), {"optimizer.lr": Interval(1e-4, 1e-1, log=True)})
    return Study(store, "a study", space, SearchSettings(n_trials=POINTS, sampler="random"), 9)


def search_on(store: Store) -> None:
    """Try one point."""
    study = open_study(store)
    proposal = study.ask(set(), also_new=True)
    if proposal is not None:
        study.report(proposal.number, {1: [0.5]})
        study.tell(proposal.number, [float(proposal.point)])


def process(store: Store, work: Callable[[Store], None], crash_at: int = 0) -> int:
    """Do some work in a process of its own, killed at one of its writes; how it ended."""

    def body() -> int:
        try:
            recover(store)
            work(store)
        except TrialBusy:
            return BUSY
        except TrialError:
            return FAILED
        except Interrupted:
            return INTERRUPTED
        return DONE

    store.disconnect()
    return run_traced(body, store.folder, Striker("all", crash_at, KILL))


def points_of_search(store: Store) -> list[dict[str, float]]:
    for _ in range(POINTS):
        assert process(store, search_on) == DONE
    study = open_study(store)
    points = [dict(values_of(trial)) for trial in study.points().values()]
    study.disconnect()
    return points


class Processes(RuleBasedStateMachine):
    """Processes come and go; between them the store, the journals and the study are looked at."""

    template: Path
    store: Store
    expected: list[dict[str, float]]

    def __init__(self) -> None:
        super().__init__()
        self.store.disconnect()
        shutil.rmtree(self.store.folder)
        shutil.copytree(self.template, self.store.folder)
        self.finished: set[str] = set()
        self.settled = 0
        self.held: tuple[str, int, str] | None = None

    def teardown(self) -> None:
        if self.held is not None:
            self.its_process_dies()
        for trial in TRIALS:  # whatever happened, the same command ends well
            assert process(self.store, lambda store, trial=trial: train(store, trial, STEPS, 0)) == DONE
            self.finished.add(trial)
        for _ in range(POINTS):
            assert process(self.store, search_on) == DONE
        self.settled = POINTS
        self.the_store_is_true()
        self.the_study_is_whole()

    @rule(
        trial=st.sampled_from(TRIALS),
        until=st.integers(1, STEPS),
        delivers_at=st.integers(0, STEPS),
        crash_at=KILLS,
    )
    def a_process_trains(self, trial: str, until: int, delivers_at: int, crash_at: int) -> None:
        code = process(self.store, lambda store: train(store, trial, until, delivers_at), crash_at)
        assert code in self._expected(trial, DONE if until == STEPS else INTERRUPTED, crash_at)
        if code == DONE:
            self.finished.add(trial)

    @rule(trial=st.sampled_from(TRIALS), crash_at=KILLS)
    def a_trial_fails(self, trial: str, crash_at: int) -> None:
        code = process(self.store, lambda store: fail(store, trial), crash_at)
        assert code in self._expected(trial, FAILED, crash_at)

    def _expected(self, trial: str, code: int, crash_at: int) -> set[int]:
        """How a process that takes up a trial may end."""
        held = self.held is not None and self.held[0] == trial
        codes = {BUSY} if held else {DONE} if trial in self.finished else {code, DONE} if crash_at else {code}
        return codes | ({-signal.SIGKILL} if crash_at else set()) | ({DONE} if not held else set())

    @precondition(lambda self: self.held is None)
    @rule(trial=st.sampled_from(TRIALS))
    def a_process_takes_long(self, trial: str) -> None:
        """One that is at work while others come."""
        if trial in self.finished:
            return
        reader, writer = os.pipe()
        self.store.disconnect()
        pid = os.fork()
        if pid == 0:
            try:
                recover(self.store)
                with trial_run(self.store, RunSpec(trial, trial, {}, {})) as run:
                    run.journal.write({"loss": value(trial, "loss", 1), "acc": value(trial, "acc", 1)}, 1)
                    os.write(writer, b"open")
                    signal.pause()
            finally:
                os._exit(1)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            assert pipe.read(4) == b"open"
        run_id = next(run.info.run_id for run in search(self.store) if run.info.status == "RUNNING")
        self.held = trial, pid, run_id

    @precondition(lambda self: self.held is not None)
    @rule()
    def its_process_dies(self) -> None:
        assert self.held is not None
        os.kill(self.held[1], signal.SIGKILL)
        os.waitpid(self.held[1], 0)
        self.held = None

    @rule(crash_at=KILLS)
    def a_process_searches(self, crash_at: int) -> None:
        assert process(self.store, search_on, crash_at) in {DONE} | ({-signal.SIGKILL} if crash_at else set())

    @invariant()
    def the_store_is_true(self) -> None:
        recover(self.store)
        runs = list(search(self.store))
        finished = Counter(run.data.tags["fingerprint"] for run in runs if run.info.status == "FINISHED")
        assert set(finished) >= self.finished
        assert all(count == 1 for count in finished.values())
        self.finished = set(finished)
        running = [run.info.run_id for run in runs if run.info.status == "RUNNING"]
        assert running == ([] if self.held is None else [self.held[2]])
        for run in runs:
            assert ("error" in run.data.tags) == (run.info.status in ("FAILED", "KILLED"))
            self._has_its_points(run)
        ended = {run.info.run_id for run in runs if run.info.status in ("FINISHED", "FAILED")}
        assert ended.isdisjoint(path.name for path in (self.store.folder / "trials").iterdir())

    def _has_its_points(self, run) -> None:
        """No point twice or with another value; of a finished run none missing, and its file whole."""
        trial = run.data.tags["fingerprint"]
        for key in ("loss", "acc"):
            points = [(it.step, it.value) for it in self.store.client.get_metric_history(run.info.run_id, key)]
            assert len(points) == len(dict(points))
            assert all(found == value(trial, key, step) for step, found in points)
            if run.info.status == "FINISHED":
                assert sorted(step for step, _ in points) == list(range(1, STEPS + 1))
        if run.info.status == "FINISHED":
            folder = Path(run.info.artifact_uri.removeprefix("file://"))
            assert (folder / "best.ckpt").read_text() == f"weights of {trial}"

    @invariant()
    def the_study_is_whole(self) -> None:
        study = open_study(self.store)
        trials = study._trials()
        told = Counter(trial.user_attrs["point"] for trial in trials if trial.state == TrialState.COMPLETE)
        assert all(count == 1 for count in told.values())
        assert study.settled >= self.settled
        self.settled = study.settled
        for point, trial in study.points().items():
            assert dict(values_of(trial)) == self.expected[point]
        study.disconnect()


@pytest.mark.slow
def test_whatever_processes_do_and_wherever_they_die_the_store_is_true(empty_store, tmp_path, monkeypatch):
    folder, template = tmp_path / "store", tmp_path / "template"
    folder.mkdir()
    shutil.copy(empty_store, folder / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    Processes.store = open_store("cells", patience=0)
    make_storage(folder).engine.dispose()
    Processes.store.disconnect()
    shutil.copytree(folder, template)
    Processes.template, Processes.expected = template, points_of_search(Processes.store)
    gc.collect()
    gc.freeze()  # else a collection in a process touches, and so copies, every object of this one
    few = settings(
        max_examples=int(os.environ.get("STATE_MACHINE_EXAMPLES", "3")),
        stateful_step_count=5,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(Processes, settings=few)
    finally:
        gc.unfreeze()
