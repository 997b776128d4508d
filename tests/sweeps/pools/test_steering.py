"""What anyone asks of a sweep by tags reaches its trials in every pool, those too that wait in a queue."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from recurrent_cells.sweeps import limits
from recurrent_cells.sweeps.results import read_sweeps
from recurrent_cells.tracking import journal
from recurrent_cells.tracking.queries import TrialRecord
from recurrent_cells.tracking.steering import ask_to_skip, ask_to_stop
from tests.conftest import Answer
from tests.sweeps.conftest import Background
from tests.sweeps.pools.played_slurm import Cluster
from tests.sweeps.processes import wait_until

STARTED = 240.0  # seconds in which a Ray starts on a busy machine
LAUNCHERS = {
    "local": ("hydra.launcher.slots=1",),
    "packed": ("hydra/launcher=packed", "hydra.launcher.max_pack=8"),
    "slurm": ("hydra/launcher=slurm", "hydra.launcher.slots=1"),
    "ray": ("hydra/launcher=ray", f"hydra.launcher.num_cpus={os.cpu_count()}"),
}
# The larger network's trials come first: in packs both at once, elsewhere one by one.
FOUR_TRIALS = ("model.hidden_size=4,5", "seed=0,1")
LONG = ("trainer.max_steps=200", "trainer.eval_every=100", "trainer.log_every=10")
DIVERGING = ("optimizer=sgd", "optimizer.lr=1e38", "optimizer.clip_norm=null")


def slow(seconds: float) -> Callable[[Any], Any]:
    """Trials whose steps take their time; it is sent to other processes whole, with nothing of this module."""

    def train(cfg: Any) -> Any:
        from recurrent_cells.tracking import journal
        from recurrent_cells.training.module import TrialModule
        from recurrent_cells.trial.train import train as original

        journal.SECONDS_BETWEEN_LOOKS, journal.SECONDS_BETWEEN_DELIVERIES = 0.5, 0.25
        step = TrialModule.training_step

        def slow_step(*arguments: Any) -> None:
            time.sleep(seconds)
            step(*arguments)

        TrialModule.training_step = slow_step
        try:
            return original(cfg)
        finally:
            TrialModule.training_step = step

    return train


@dataclass
class Steered:
    """Sweeps in one of the pools."""

    pool: str
    sweep: Callable[..., Answer]
    in_background: Callable[..., Background]

    def start(self, *arguments: str, seconds: float = 0.0) -> Background:
        launcher, *options = LAUNCHERS[self.pool]
        given = (*FOUR_TRIALS, *options, *arguments)
        return self.in_background(lambda: self.sweep(*given, train=slow(seconds), launcher=launcher))


@pytest.fixture(params=["local", "packed", "slurm", pytest.param("ray", marks=pytest.mark.ray)])
def steered(request, sweep, in_background, monkeypatch) -> Iterator[Steered]:
    """Sweeps whose processes look for tags every half second, in each of the pools."""
    for module in (journal, limits):
        monkeypatch.setattr(module, "SECONDS_BETWEEN_LOOKS", 0.5)
    monkeypatch.setattr(journal, "SECONDS_BETWEEN_DELIVERIES", 0.25)
    pool = Steered(request.param, sweep, in_background)
    if pool.pool == "ray":
        pytest.importorskip("ray")
    if pool.pool == "packed":
        from recurrent_cells.training.module import TrialModule

        step = TrialModule.training_step
        monkeypatch.setattr(TrialModule, "training_step", lambda *given: (time.sleep(0.15), step(*given))[1])
    if pool.pool != "slurm":
        yield pool
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    with cluster.node():
        yield pool


def kind(record: TrialRecord) -> tuple[int, int]:
    """Hidden size and seed of a trial."""
    return int(record.params["model.hidden_size"]), int(record.params["seed"])


def training(trials: Callable[[], list[TrialRecord]]) -> TrialRecord:
    """The first trial, once it trains."""
    wait_until(lambda: any(record.status == "RUNNING" and record.params for record in trials()), STARTED)
    time.sleep(1.0)
    return min(trials(), key=kind)


@pytest.mark.slow
def test_a_trial_is_stopped_and_another_left_out_and_the_others_finish(steered, sweep, store, trials, parents):
    command = steered.start(*LONG, seconds=0.15)
    stopped = training(trials)
    parent, data = parents()[0].info.run_id, read_sweeps(store, "latest")[1]
    skipped = next(it for it in data.trials if it.overrides["model.hidden_size"] == "4" and it.overrides["seed"] == "1")
    ask_to_skip(store, parent, skipped.fingerprint, "not now")
    ask_to_stop(store, stopped.run_id, "seen enough")
    asked = time.monotonic()
    wait_until(lambda: any(record.status == "KILLED" for record in trials()))
    assert time.monotonic() - asked < 10
    answer = command.wait()
    assert answer.code == 0, answer.err
    ended = {kind(record): (record.status, record.error) for record in trials()}
    assert ended.pop(kind(stopped)) == ("KILLED", "stopped: seen enough")
    assert ended == dict.fromkeys([(5, 1), (4, 0)], ("FINISHED", ""))
    (run,) = parents()
    assert (run.info.status, run.data.tags["sweep.left"], run.data.tags["sweep.failed"]) == ("KILLED", "2", "0")
    assert sweep(*FOUR_TRIALS, *LONG, "sweep.rerun=stopped").code == 0
    assert sum(record.status == "FINISHED" for record in trials()) == 4
    assert parents()[0].info.status == "FINISHED"


@pytest.mark.slow
def test_no_more_trials_start_once_the_sweep_is_stopped_and_the_same_command_goes_on(
    steered, sweep, store, trials, parents
):
    command = steered.start(*LONG, seconds=0.15)
    training(trials)
    ask_to_stop(store, parents()[0].info.run_id, "lunch")
    answer = command.wait()
    assert answer.code == 0, answer.err
    begun = trials()
    assert {(record.params["model.hidden_size"], record.status) for record in begun} == {("5", "FINISHED")}
    said = f"stopped: lunch; {4 - len(begun)} trials left, with which the same command goes on"
    assert answer.err.splitlines()[-1] == said
    assert parents()[0].info.status == "KILLED"
    assert sweep(*FOUR_TRIALS, *LONG).code == 0
    assert [record.status for record in trials()] == ["FINISHED"] * 4
    assert "stop" not in parents()[0].data.tags


@pytest.mark.slow
def test_no_more_trials_start_once_so_many_have_failed(steered, trials, parents):
    answer = steered.start(*DIVERGING, "sweep.stop_after_failures=1").wait()
    assert answer.code == 1
    assert "sweep.stop_after_failures=1: so many trials have failed" in answer.err.splitlines()
    assert {(record.params["model.hidden_size"], record.status) for record in trials()} == {("5", "FAILED")}
    assert parents()[0].info.status == "FAILED"


@pytest.mark.slow
def test_trials_save_and_no_more_start_once_the_budget_is_used(steered, trials, parents):
    endless = ("trainer.max_steps=100000", "trainer.eval_every=100", "trainer.log_every=10")
    answer = steered.start(*endless, "sweep.budget=20s", seconds=0.15).wait()
    assert answer.code == 0, answer.err
    assert answer.err.splitlines()[-1] == "sweep.budget=20s is used; 4 trials left, with which the same command goes on"
    assert {record.status for record in trials()} <= {"KILLED"}
    (run,) = parents()
    assert (run.info.status, run.data.tags["sweep.left"]) == ("KILLED", "4")
