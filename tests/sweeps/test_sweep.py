"""Sweeps through the command line: what they train, leave out, survive and say."""

import errno
import os
import re
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from recurrent_cells.config.schema import Config
from recurrent_cells.sweeps import limits
from recurrent_cells.sweeps import sweep as sweeps
from recurrent_cells.sweeps.parent import Parent
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.sweeps.sweep import Swept
from recurrent_cells.tracking import journal
from recurrent_cells.tracking.manifest import local_folder
from recurrent_cells.tracking.steering import ask_to_stop
from recurrent_cells.training.module import TrialModule
from recurrent_cells.trial.outcome import Outcome
from recurrent_cells.trial.train import train
from tests.sweeps.processes import end_by_sigkill, is_alive, wait_until


def statuses(trials):
    return [(int(record.tags["seed"]), record.status) for record in trials()]


def counts(run):
    return tuple(int(run.data.tags[f"sweep.{what}"]) for what in ("trials", "finished", "failed"))


@pytest.mark.slow
def test_the_same_command_again_trains_nothing_and_another_what_is_missing(sweep, steps, trials, parents):
    answer = sweep("seed=0,1,2", train=steps.train)
    assert answer.code == 0
    assert answer.err.splitlines()[0] == "3 trials on 2 slots"
    assert len(answer.err.splitlines()) == 4
    assert answer.out.splitlines()[0].split()[:4] == ["cell", "hidden", "parameters", "seed"]
    assert re.search(r"lstm 4: test acc \d+\.\d\d ± \d+\.\d\d % over 3 seeds", answer.out)
    assert statuses(trials) == [(0, "FINISHED"), (1, "FINISHED"), (2, "FINISHED")]
    (parent,) = parents()
    assert (parent.info.status, counts(parent)) == ("FINISHED", (3, 3, 0))
    assert {record.tags["mlflow.parentRunId"] for record in trials()} == {parent.info.run_id}
    assert {record.tags["sweep"] for record in trials()} == {parent.info.run_id}

    again = sweep("seed=0,1,2", train=steps.train)
    assert (again.code, again.out) == (0, answer.out)
    assert again.err == "3 of 3 trials are left out\n"
    assert [run.info.run_id for run in parents()] == [parent.info.run_id]

    assert sweep("seed=1,2,3", train=steps.train).code == 0
    assert sorted(seed for _, seed in steps.begun()) == [0, 1, 2, 3]
    assert sorted(counts(run) for run in parents()) == [(3, 3, 0), (3, 3, 0)]


@pytest.mark.slow
@pytest.mark.parametrize("place", ["recover", "open_parent", "trial_records"])
def test_a_store_that_fails_once_while_a_sweep_begins_is_asked_again(sweep, parents, monkeypatch, place):
    own, calls = getattr(sweeps, place), []

    def fails_once(*arguments: Any, **named: Any) -> Any:
        calls.append(place)
        if len(calls) == 1:
            raise OSError(errno.EIO, "Input/output error")
        return own(*arguments, **named)

    monkeypatch.setattr(sweeps, place, fails_once)
    assert sweep("seed=0", train=lambda _: {}).code == 1  # not one that FINISHED, as the trial is none
    assert len(calls) > 1
    assert len(parents()) == 1


@pytest.mark.slow
def test_a_dry_run_prints_every_trial_and_starts_nothing(sweep, trials, parents):
    sweep("seed=1")
    answer = sweep("model=lstm,gru", "seed=0,1", "sweep.dry_run=true")
    assert answer.code == 0
    *rows, last = [line.split() for line in answer.out.splitlines()]
    assert rows[0] == ["trial", "model", "seed", "n_params", "state", "estimated", "seconds"]
    assert [row[:4] for row in rows[1:]] == [
        ["lstm-h4x1-s0", "lstm", "0", "196"],
        ["lstm-h4x1-s1", "lstm", "1", "196"],
        ["gru-h4x1-s0", "gru", "0", "152"],
        ["gru-h4x1-s1", "gru", "1", "152"],
    ]
    assert [row[4] for row in rows[1:]] == ["new", "finished", "new", "new"]
    assert float(rows[1][5]) > 0
    assert [row[5] for row in rows[2:]] == ["-", "-", "-"]
    assert " ".join(last) == "4 trials, 1 to be left out, 3 to run; nothing started"
    assert len(parents()) == 1
    assert len(trials()) == 1


@pytest.mark.slow
def test_duplicates_are_one_trial_and_one_trial_is_a_sweep(sweep, trials, parents):
    assert sweep("seed=0,0").code == 0
    assert sweep().code == 0
    assert statuses(trials) == [(0, "FINISHED")]
    assert [counts(run) for run in parents()] == [(1, 1, 0)]


class Broken:
    """`train`, but for some seeds something else happens, so often; what happened is counted in files."""

    def __init__(self, folder, faults, times=1000) -> None:
        self.folder, self.faults, self.times = folder, faults, times

    def __call__(self, cfg: DictConfig) -> Any:
        if cfg.seed in self.faults:
            with (self.folder / f"faults-{cfg.seed}").open("a") as file:
                file.write("x")
            if self.count(cfg.seed) <= self.times:
                self.faults[cfg.seed]()
        return train(cfg)

    def count(self, seed):
        return (self.folder / f"faults-{seed}").stat().st_size


def in_training(action):
    """A fault once training has begun."""

    def fault():
        TrialModule.training_step = lambda *_: action()

    return fault


def fail():
    raise ValueError("broken on purpose")


def use_too_much_memory():
    raise MemoryError("no room")


@pytest.mark.slow
def test_trials_that_go_wrong_cost_themselves_alone(sweep, tmp_path, trials, parents):
    broken = Broken(
        tmp_path,
        {
            1: in_training(fail),
            2: in_training(lambda: sys.exit(0)),
            3: in_training(end_by_sigkill),
            4: in_training(lambda: os._exit(3)),
            5: in_training(use_too_much_memory),
            6: fail,
        },
    )
    answer = sweep("seed=range(0,8)", train=broken)
    assert answer.code == 1
    assert statuses(trials) == [
        *((0, "FINISHED"), (1, "FAILED"), (2, "FAILED"), (3, "KILLED"), (4, "KILLED"), (5, "FAILED"), (7, "FINISHED"))
    ]
    assert [broken.count(seed) for seed in range(1, 7)] == [1, 1, 2, 1, 1, 1]
    (parent,) = parents()
    assert (parent.info.status, counts(parent)) == ("FAILED", (8, 2, 6))

    end = answer.err[answer.err.index("6 trials not finished:") :]
    assert re.search(r"seed=1: ValueError: broken on purpose\n    log: ", end)
    assert re.search(r"seed=2: the trial called sys.exit\(0\)\n    log: ", end)
    assert re.search(r"seed=3: process \d+ was ended by SIGKILL\n    log: ", end)
    assert re.search(r"seed=4: process \d+ exited with 3\n    log: ", end)
    assert re.search(r"seed=5: MemoryError: no room\n    log: ", end)
    assert re.search(r"seed=6: ValueError: broken on purpose\n    log: ", end)
    assert end.endswith("The same command goes on with them.\n")
    logs = [Path(path) for path in re.findall(r"log: (.*)", end)]
    assert len(logs) == 6
    assert "ValueError: broken on purpose" in logs[0].read_text()
    assert "in fail" in logs[5].read_text()
    assert all(log.exists() for log in logs)

    assert sweep("seed=1,3").code == 0
    assert Counter(record.status for record in trials()) == {"FINISHED": 4, "FAILED": 3, "KILLED": 1}


@pytest.mark.slow
@pytest.mark.parametrize(("retries", "code"), [(0, 1), (2, 0)])
def test_a_killed_trial_is_tried_again(sweep, tmp_path, trials, retries, code):
    broken = Broken(tmp_path, {1: in_training(end_by_sigkill)}, times=2)
    assert sweep("seed=0,1", f"sweep.retries={retries}", train=broken).code == code
    assert broken.count(1) == retries + 1
    assert len(trials()) == 2


@pytest.mark.slow
def test_what_to_train_again_can_be_chosen(sweep, tmp_path, steps, trials):
    sweep("seed=0,1", train=Broken(tmp_path, {1: in_training(fail)}))
    answer = sweep("seed=0,1,2", "sweep.rerun=failed", train=steps.train)
    assert answer.code == 1
    assert "1 trial not finished:\n  seed=2: not started" in answer.err
    assert [seed for _, seed in steps.begun()] == [1]
    assert sweep("seed=0,1,2", "sweep.rerun=missing", train=steps.train).code == 0
    assert [seed for _, seed in steps.begun()] == [1, 2]
    assert sweep("seed=0,1,2", "sweep.rerun=all", train=steps.train).code == 0
    assert sorted(seed for _, seed in steps.begun()[2:]) == [0, 1, 2]
    finished = Counter(record.tags["seed"] for record in trials() if record.status == "FINISHED")
    assert finished == {"0": 2, "1": 2, "2": 2}


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_has_trials_save_and_the_same_command_goes_on(
    sweep, in_background, steps, store, trials, parents, signum, code
):
    steps.seconds = 0.1
    first = in_background(lambda: sweep("seed=0,1,2", train=steps.train))
    pids = steps.wait_for(2)
    first.kill(signum)
    answer = first.wait()
    assert answer.code == code
    assert answer.err.splitlines()[-2:] == [
        "0 of 3 trials finished",
        f"interrupted by {signal.Signals(signum).name}: the same command goes on where this one was",
    ]
    assert not any(is_alive(pid) for pid in pids)
    assert statuses(trials) == [(0, "KILLED"), (1, "KILLED")]
    assert [(run.info.status, counts(run)) for run in parents()] == [("KILLED", (3, 0, 0))]

    assert sweep("seed=0,1,2").code == 0
    assert statuses(trials) == [(seed, "FINISHED") for seed in range(3)]
    assert [(run.info.status, counts(run)) for run in parents()] == [("FINISHED", (3, 3, 0))]
    for record in trials():
        assert [point.step for point in store.client.get_metric_history(record.run_id, "val/acc")] == [10, 20]


@pytest.mark.slow
def test_a_second_ctrl_c_ends_at_once(sweep, in_background, steps, trials, parents):
    steps.seconds = 20
    first = in_background(lambda: sweep("seed=0,1", train=steps.train))
    pids = steps.wait_for(2)
    first.kill(signal.SIGINT)
    time.sleep(0.2)  # signals that are pending together are one
    assert all(is_alive(pid) for pid in pids)
    first.kill(signal.SIGINT)
    assert first.wait().code == 130
    assert not any(is_alive(pid) for pid in pids)
    assert statuses(trials) == [(0, "KILLED"), (1, "KILLED")]
    assert [run.info.status for run in parents()] == ["KILLED"]


@pytest.mark.slow
def test_a_killed_launcher_takes_its_trials_along_and_the_next_start_goes_on(
    sweep, in_background, steps, trials, parents
):
    steps.seconds = 0.2
    first = in_background(lambda: sweep("seed=0,1,2", train=steps.train))
    pids = steps.wait_for(2)
    first.kill(signal.SIGKILL)
    assert first.wait().code == -signal.SIGKILL
    wait_until(lambda: not any(is_alive(pid) for pid in pids), seconds=5)
    assert statuses(trials) == [(0, "RUNNING"), (1, "RUNNING")]

    steps.seconds = 0.0
    answer = sweep("seed=0,1,2", train=steps.train)
    assert answer.code == 0
    assert len(re.findall(r"run .* \(\w+\): KILLED, process \d+ is gone", answer.err)) == 3
    assert statuses(trials) == [(0, "FINISHED"), (1, "FINISHED"), (2, "FINISHED")]
    assert [run.info.status for run in parents()] == ["FINISHED"]


@pytest.mark.slow
@pytest.mark.parametrize("others", ["seed=0,1,2", "seed=3,2,1"], ids=["identical", "overlapping"])
def test_two_sweeps_at_once_train_each_trial_once(sweep, in_background, steps, trials, parents, others):
    steps.seconds = 0.02
    both = [in_background(lambda seeds=seeds: sweep(seeds, train=steps.train)) for seeds in ("seed=0,1,2", others)]
    assert [one.wait().code for one in both] == [0, 0]
    identical = others == "seed=0,1,2"
    seeds = [0, 1, 2] if identical else [0, 1, 2, 3]
    assert sorted(seed for _, seed in steps.begun()) == seeds
    assert statuses(trials) == [(seed, "FINISHED") for seed in seeds]
    assert [(run.info.status, counts(run)) for run in parents()] == [("FINISHED", (3, 3, 0))] * (1 if identical else 2)


@pytest.mark.slow
def test_a_trial_that_another_machine_trains_is_waited_for(
    sweep, in_background, steps, store, trials, tmp_path, monkeypatch
):
    sweep("seed=0", train=steps.train)
    (record,) = trials()
    for key, value in (("process.host", "elsewhere"), ("process.boot", "another")):
        store.client.set_tag(record.run_id, key, value)
    store.client.update_run(record.run_id, status="RUNNING")
    said = tmp_path / "said"
    monkeypatch.setattr("recurrent_cells.sweeps.drive.say", said.write_text)
    waiting = in_background(lambda: sweep("seed=0", train=steps.train))
    wait_until(said.exists)
    store.client.set_terminated(record.run_id)
    assert waiting.wait().code == 0
    assert said.read_text() == "waiting for 1 trial that other processes train"
    assert len(steps.begun()) == 1
    assert statuses(trials) == [(0, "FINISHED")]


@pytest.mark.slow
def test_training_all_again_goes_on_where_it_was_interrupted(sweep, in_background, steps, trials):
    sweep("seed=0,1,2")
    steps.seconds = 0.1
    first = in_background(lambda: sweep("seed=0,1,2", "sweep.rerun=all", "hydra.launcher.slots=1", train=steps.train))
    steps.wait_for(2)
    first.kill(signal.SIGTERM)
    assert first.wait().code == 143
    steps.seconds = 0.0
    assert sweep("seed=0,1,2", "sweep.rerun=all", train=steps.train).code == 0
    assert [seed for _, seed in steps.begun()][:2] == [0, 1]
    assert sorted(seed for _, seed in steps.begun()[2:]) == [1, 2]
    assert Counter(statuses(trials)) == {(seed, "FINISHED"): 2 for seed in range(3)}


@pytest.mark.slow
@pytest.mark.parametrize("ahead", [-3600, 3600], ids=["set back", "was ahead"])
def test_training_all_again_needs_no_clock(sweep, steps, trials, monkeypatch, ahead):
    now = time.time
    with monkeypatch.context() as other_clock:
        other_clock.setattr(time, "time", lambda: now() + max(ahead, 0))
        assert sweep("seed=0,1").code == 0
    monkeypatch.setattr(time, "time", lambda: now() + min(ahead, 0))
    assert sweep("seed=0,1", "sweep.rerun=all", train=steps.train).code == 0
    assert sorted(seed for _, seed in steps.begun()) == [0, 1]
    assert Counter(statuses(trials)) == {(seed, "FINISHED"): 2 for seed in range(2)}
    assert sweep("seed=0,1", train=steps.train).code == 0
    assert len(steps.begun()) == 2


@pytest.mark.slow
def test_with_hydras_own_launcher_too(sweep, tmp_path, trials, parents):
    basic = "hydra/launcher=basic"
    leaving = Broken(tmp_path, {1: fail, 2: lambda: sys.exit(0)})
    answer = sweep("seed=0,1,2,3", train=leaving, launcher=basic)
    assert answer.code == 1
    assert statuses(trials) == [(0, "FINISHED"), (3, "FINISHED")]
    assert "seed=1: ValueError: broken on purpose" in answer.err
    assert "seed=2: the trial called sys.exit(0)" in answer.err
    assert sweep("seed=0,1,2,3", launcher=basic).code == 0
    assert [counts(run) for run in parents()] == [(4, 4, 0)]


@pytest.mark.slow
def test_a_sweep_killed_over_and_over_ends_as_if_never_disturbed(tmp_path):
    from benchmarks.kill_campaign import campaign
    from tests.support import write_data_set
    from tests.sweeps.conftest import FEW_STEPS

    write_data_set(tmp_path / "data")
    more = (f"data.root={tmp_path / 'data'}", "seed=0,1,2,3", "trainer.max_steps=1000", "trainer.eval_every=250")
    command = (*FEW_STEPS, *more, "trainer.checkpoint_every=50", "sweep.retries=5")
    verdict = campaign(tmp_path, command, kills=3, seed=1, longest_wait=7.0)
    assert verdict.faults == []
    assert verdict.trials == 4
    assert sum(verdict.kills.values()) == 3


@pytest.mark.slow
def test_a_trial_whose_files_are_damaged_is_trained_again(sweep, steps, trials, parents):
    sweep("seed=0,1,2")
    damaged = trials()[1]
    (local_folder(damaged.artifact_uri) / "best.ckpt").write_bytes(b"")
    answer = sweep("seed=0,1,2", train=steps.train)
    assert answer.code == 0
    assert "best.ckpt is empty: the same command trains it again" in answer.err.splitlines()[0]
    assert [seed for _, seed in steps.begun()] == [1]
    assert Counter(statuses(trials)) == {(seed, "FINISHED"): 1 for seed in range(3)} | {(1, "FAILED"): 1}
    assert [counts(run) for run in parents()] == [(3, 3, 0)]


@pytest.mark.slow
def test_the_plan_of_a_sweep_is_replaced_as_a_whole(sweep, parents, monkeypatch):
    """A process that is killed while it writes the plan leaves the one before."""
    sweep("seed=0")
    (parent,) = parents()
    plan = local_folder(parent.info.artifact_uri) / "plan.json"
    before = plan.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: sys.exit(9))
    assert sweep("seed=0").code == 9
    assert plan.read_bytes() == before


@pytest.fixture
def eager(monkeypatch) -> None:
    """Processes look for tags that stop them every half second."""
    for module in (journal, limits):
        monkeypatch.setattr(module, "SECONDS_BETWEEN_LOOKS", 0.5)
    monkeypatch.setattr(journal, "SECONDS_BETWEEN_DELIVERIES", 0.25)


@pytest.mark.slow
def test_a_trial_stopped_by_its_tag_is_left_out_until_it_is_asked_for(
    sweep, in_background, steps, store, trials, parents, eager
):
    steps.seconds = 0.15
    first = in_background(lambda: sweep("seed=0,1", "trainer.max_steps=200", train=steps.train))
    steps.wait_for(2)
    (stopped, _) = trials()
    asked = time.monotonic()
    ask_to_stop(store, stopped.run_id, "seen enough")
    wait_until(lambda: trials()[0].status == "KILLED")
    assert time.monotonic() - asked < 10
    assert first.wait().code == 0
    assert statuses(trials) == [(0, "KILLED"), (1, "FINISHED")]
    assert trials()[0].error == "stopped: seen enough"
    (parent,) = parents()
    assert (parent.info.status, counts(parent)) == ("KILLED", (2, 1, 0))
    assert (parent.data.tags["sweep.stopped"], parent.data.tags["sweep.left"]) == ("1 trial stopped", "1")

    steps.seconds = 0.0
    again = sweep("seed=0,1", "trainer.max_steps=200")
    assert again.code == 0
    assert "2 of 2 trials are left out" in again.err
    assert sweep("seed=0,1", "trainer.max_steps=200", "sweep.rerun=stopped").code == 0
    assert statuses(trials) == [(0, "FINISHED"), (1, "FINISHED")]
    assert not trials()[0].error
    (parent,) = parents()
    assert parent.info.status == "FINISHED"
    assert not {"sweep.stopped", "sweep.left"} & parent.data.tags.keys()


@pytest.mark.slow
def test_a_sweep_stopped_by_its_tag_ends_what_runs_and_goes_on_when_it_is_given_again(
    sweep, in_background, steps, store, trials, parents, eager
):
    steps.seconds = 0.15
    command = ("seed=0,1", "trainer.max_steps=400", "trainer.eval_every=200")
    first = in_background(lambda: sweep(*command, train=steps.train, launcher="hydra.launcher.slots=1"))
    steps.wait_for(1)
    (parent,) = parents()
    ask_to_stop(store, parent.info.run_id, "lunch")
    answer = first.wait()
    assert answer.code == 0
    assert answer.err.splitlines()[-1] == "stopped: lunch; 1 trial left, with which the same command goes on"
    assert statuses(trials) == [(0, "FINISHED")]
    (parent,) = parents()
    assert (parent.info.status, parent.data.tags["sweep.left"]) == ("KILLED", "1")
    assert sweep(*command).code == 0
    assert statuses(trials) == [(0, "FINISHED"), (1, "FINISHED")]
    assert "stop" not in parents()[0].data.tags


def test_what_was_stopped_or_left_out_is_no_failure_of_a_sweep_that_was_stopped(store):
    trials = [Trial((), {}, Config(), name, name, "", 1) for name in ("stopped", "skipped", "failed", "not started")]
    outcomes = {"stopped": Outcome("stopped"), "skipped": Outcome("stopped"), "failed": Outcome("failed")}
    swept = Swept(store, Parent("parent"), trials, outcomes, {}, [], "", "stopped: lunch", report=False)
    assert [trial.name for trial in swept.faulty] == ["failed"]


@pytest.mark.slow
def test_a_budget_is_kept_and_the_same_command_goes_on(sweep, steps, store, trials, parents):
    steps.seconds = 0.5
    command = ("seed=0,1", "trainer.max_steps=2000", "trainer.eval_every=1000", "trainer.checkpoint_every=1000")
    start = time.monotonic()
    answer = sweep(*command, "sweep.budget=3s", train=steps.train)
    assert time.monotonic() - start < 13
    assert answer.code == 0
    assert answer.err.splitlines()[-1] == "sweep.budget=3s is used; 2 trials left, with which the same command goes on"
    assert {status for _, status in statuses(trials)} == {"KILLED"}
    steps.seconds = 0.0
    assert sweep(*command).code == 0
    assert statuses(trials) == [(0, "FINISHED"), (1, "FINISHED")]
    assert [run.info.status for run in parents()] == ["FINISHED"]
