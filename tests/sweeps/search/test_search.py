"""Searches through the command line: what they train, prune, survive and say."""

import errno
import json
import re
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from optuna.exceptions import StorageInternalError

from recurrent_cells.sweeps.search import search as beginning
from recurrent_cells.sweeps.search import study
from recurrent_cells.sweeps.search.study import Study
from recurrent_cells.tracking.manifest import local_folder
from recurrent_cells.tracking.steering import ask_to_stop
from recurrent_cells.training import fit
from recurrent_cells.trial import life
from recurrent_cells.trial.study_storage import STORAGE
from recurrent_cells.trial.train import train
from tests.support import write_data_set
from tests.sweeps.processes import end_by_sigkill, is_alive, wait_until

LENGTH = ("model.hidden_size=8", "trainer.max_steps=80", "trainer.eval_every=40", "trainer.checkpoint_every=40")
# The first trial learns and two that follow do not.
ASHA = (
    *("hydra.sweeper.pruner=asha", "hydra.sweeper.reduction_factor=2", "hydra.sweeper.n_trials=3"),
    *("optimizer.lr=0.1,1e-6,1e-7,1e-8", "hydra.sweeper.sampler=grid", "hydra.sweeper.seed=5"),
    *LENGTH,
)


def chosen(trials):
    """The learning rate of every run, in order."""
    return sorted(float(record.params["optimizer.lr"]) for record in trials())


def counts(run):
    return tuple(int(run.data.tags[f"sweep.{what}"]) for what in ("trials", "finished", "failed"))


def plan_of(run):
    return json.loads((Path(run.info.artifact_uri.removeprefix("file://")) / "plan.json").read_text())


@pytest.mark.slow
def test_the_same_command_again_trains_nothing_and_a_larger_one_the_rest(search, steps, trials, parents):
    assert search("sweep.dry_run=true").out == (
        "3 trials: 0 to be left out, 0 to run, 3 to be proposed by tpe; nothing started\n"
    )
    assert (trials(), parents()) == ([], [])
    answer = search(train=steps.train)
    assert answer.code == 0
    assert answer.err.splitlines()[0] == "3 trials on 1 slot"
    assert "3 trials tried; 3 trained in full" in answer.out
    assert {record.status for record in trials()} == {"FINISHED"}
    rates = chosen(trials)
    assert len(set(rates)) == 3
    assert all(1e-6 <= rate <= 0.3 for rate in rates)
    (parent,) = parents()
    assert (parent.info.status, counts(parent)) == ("FINISHED", (3, 3, 0))
    assert {record.tags["mlflow.parentRunId"] for record in trials()} == {parent.info.run_id}

    again = search(train=steps.train)
    assert (again.code, again.out) == (0, answer.out)
    assert len(steps.begun()) == 3

    *table, last = search("hydra.sweeper.n_trials=4", "sweep.dry_run=true").out.splitlines()
    assert table[0].split() == ["trial", "optimizer.lr", "n_params", "state"]
    assert [row.split()[-1] for row in table[1:]] == ["finished"] * 3
    assert last == "4 trials: 3 to be left out, 0 to run, 1 to be proposed by tpe; nothing started"

    assert search("hydra.sweeper.n_trials=4", train=steps.train).code == 0
    assert len(steps.begun()) == 4
    assert set(rates) < set(chosen(trials))
    assert [(run.info.run_id, counts(run)) for run in parents()] == [(parent.info.run_id, (4, 4, 0))]


@pytest.mark.slow
def test_pruned_trials_are_finished_for_their_search_and_no_other(search, sweep, steps, trials, parents):
    answer = search(*ASHA, train=steps.train)
    assert answer.code == 0
    pruned = [record for record in trials() if record.pruned]
    assert len(pruned) == 2
    assert f"{len(pruned)} pruned, which saved" in answer.out
    assert answer.err.count("pruned at step 40") == len(pruned)
    (parent,) = parents()
    assert (parent.info.status, counts(parent)) == ("FINISHED", (3, 3, 0))
    for record in pruned:
        assert (record.status, record.tags["pruned"]) == ("FINISHED", "40")
        assert record.tags["pruned.by"] == parent.info.run_id
        assert 0 <= record.metrics["test/acc"] <= 1
    assert search(*ASHA, train=steps.train).code == 0
    assert len(steps.begun()) == 3

    rate = pruned[0].params["optimizer.lr"]
    assert sweep(*LENGTH, f"optimizer.lr={rate}", train=steps.train).code == 0
    assert len(steps.begun()) == 4
    whole = [record for record in trials() if record.params["optimizer.lr"] == rate and not record.pruned]
    assert [record.status for record in whole] == ["FINISHED"]


@pytest.mark.slow
def test_what_another_sweep_has_finished_is_told_and_not_trained(search, sweep, steps, trials):
    assert sweep("optimizer.lr=0.1,0.2").code == 0
    assert search("optimizer.lr=0.1,0.2", "hydra.sweeper.n_trials=5", train=steps.train).code == 0
    assert steps.begun() == []
    assert len(trials()) == 2


@pytest.mark.slow
def test_equal_trials_are_trained_once(search, steps, parents):
    random = ("optimizer.lr=0.1,0.2", "hydra.sweeper.sampler=random", "hydra.sweeper.n_trials=6")
    assert search(*random, train=steps.train, launcher="hydra.launcher.slots=2").code == 0
    assert len(steps.begun()) == 2
    (parent,) = parents()
    assert counts(parent) == (2, 2, 0)
    assert parent.data.tags["search.tried"] == "6"


@pytest.mark.slow
def test_a_killed_search_goes_on_where_it_was(search, in_background, steps, trials, parents):
    steps.seconds = 0.2
    first = in_background(lambda: search(*ASHA, train=steps.train))
    pids = steps.wait_for(2)
    first.kill(signal.SIGKILL)
    assert first.wait().code == -signal.SIGKILL
    wait_until(lambda: not any(is_alive(pid) for pid in pids), seconds=5)
    finished = [record.run_id for record in trials() if record.status == "FINISHED"]
    steps.seconds = 0.0
    assert search(*ASHA, train=steps.train).code == 0
    assert len(steps.begun()) == 4
    assert len(finished) == 1
    assert set(finished) < {record.run_id for record in trials()}
    assert [record.status for record in trials()] == ["FINISHED"] * 3
    assert [(run.info.status, counts(run)) for run in parents()] == [("FINISHED", (3, 3, 0))]


@pytest.mark.slow
def test_a_signal_has_trials_save_and_the_same_command_goes_on(search, in_background, steps, trials, parents):
    steps.seconds = 0.5
    first = in_background(lambda: search(train=steps.train, launcher="hydra.launcher.slots=2"))
    steps.wait_for(2)
    first.kill(signal.SIGTERM)
    answer = first.wait()
    assert answer.code == 143
    assert answer.err.splitlines()[-2:] == [
        "0 of 2 trials finished",
        "interrupted by SIGTERM: the same command goes on where this one was",
    ]
    assert [run.info.status for run in parents()] == ["KILLED"]
    assert search().code == 0
    assert [record.status for record in trials()] == ["FINISHED"] * 3
    assert [(run.info.status, counts(run)) for run in parents()] == [("FINISHED", (3, 3, 0))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "name"),
    [(study, "make_storage"), (Study, "restore"), (Study, "queue_failed"), (Study, "points"), (Study, "ask")],
)
def test_a_study_that_fails_for_a_moment_is_waited_for(search, steps, trials, monkeypatch, where, name):
    failed = fail_once(monkeypatch, where, name, StorageInternalError("no space left"))
    small = ("hydra.sweeper.n_trials=1",)
    assert search(*small, train=steps.train).code == 0
    assert search(*small, train=steps.train).code == 0  # restores what is there
    assert (failed, len(trials())) == ([name], 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["find_parent", "open_parent", "read_plan", "write_search"])
def test_a_store_that_fails_while_a_search_begins_is_waited_for(search, steps, trials, parents, monkeypatch, name):
    small = ("hydra.sweeper.n_trials=1",)
    assert search(*small, train=steps.train).code == 0
    failed = fail_once(monkeypatch, beginning, name, OSError(errno.EIO, "Input/output error"))
    assert search(*small, train=steps.train).code == 0
    assert (failed, len(trials()), len(parents())) == ([name], 1, 1)


def fail_once(monkeypatch, where, name: str, error: Exception) -> list[str]:
    """Have a function fail at its first call; the list has its name then."""
    works, failed = getattr(where, name), []

    def fails_once(*given, **more):
        if not failed:
            failed.append(name)
            raise error
        return works(*given, **more)

    monkeypatch.setattr(where, name, fails_once)
    return failed


@pytest.mark.slow
def test_a_trial_killed_after_it_was_pruned_is_not_trained_on(search, tmp_path, trials):
    """The process ends between the evaluation that ended training and the test."""

    def dies_before_its_test(cfg):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(life, "test", end_if_first)
            return train(cfg)

    def end_if_first(member, *rest):
        if member.progress.step == 40 and not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            end_by_sigkill()
        return fit.test(member, *rest)

    answer = search(*ASHA, train=dies_before_its_test)
    assert answer.code == 0, answer.err
    assert (tmp_path / "killed").exists()
    pruned = [record for record in trials() if record.pruned]
    assert {record.tags["pruned"] for record in pruned} == {"40"}
    assert len(trials()) == 3


@pytest.mark.slow
def test_trials_that_fail_cost_themselves_and_are_tried_again(search, steps, trials, parents):
    def breaks(cfg):
        if not (steps.file.parent / "mended").exists() and len(steps.begun()) == 1:
            steps.file.open("a").write("0 0\n")
            raise ValueError("broken on purpose")
        return steps.train(cfg)

    answer = search("hydra.sweeper.n_trials=2", train=breaks)
    assert answer.code == 1
    assert re.search(r"1 trial not finished:\n  optimizer.lr=\S+: ValueError: broken on purpose\n    log: ", answer.err)
    assert [(run.info.status, counts(run)) for run in parents()] == [("FAILED", (2, 1, 1))]
    (steps.file.parent / "mended").touch()
    assert search("hydra.sweeper.n_trials=2", train=breaks).code == 0
    assert [(run.info.status, counts(run)) for run in parents()] == [("FINISHED", (2, 2, 0))]
    assert len(trials()) == 2


@pytest.mark.slow
def test_a_trial_stopped_by_its_tag_is_left_out_until_it_is_asked_for(
    search, in_background, steps, store, trials, parents
):
    steps.seconds = 0.4
    command = ("hydra.sweeper.n_trials=2", "trainer.max_steps=200")
    first = in_background(lambda: search(*command, train=steps.train, launcher="hydra.launcher.slots=2"))
    steps.wait_for(2)
    stopped = trials()[0].run_id
    ask_to_stop(store, stopped, "seen enough")
    wait_until(lambda: "KILLED" in {record.status for record in trials()})
    assert first.wait().code == 0
    (parent,) = parents()
    assert (parent.info.status, counts(parent)) == ("KILLED", (2, 1, 0))

    steps.seconds = 0.0
    again = search(*command)
    assert again.code == 0
    assert again.err.splitlines()[-1] == "1 trial stopped; sweep.rerun=stopped goes on with what was stopped"
    assert {record.run_id: record.status for record in trials()}[stopped] == "KILLED"
    assert search(*command, "sweep.rerun=stopped").code == 0
    assert [record.status for record in trials()] == ["FINISHED"] * 2
    assert [(run.info.status, counts(run)) for run in parents()] == [("FINISHED", (2, 2, 0))]


@pytest.mark.slow
def test_a_trial_killed_too_often_is_left_for_the_next_start(search, tmp_path, trials):
    def dies(cfg):
        if not (tmp_path / "mended").exists():
            end_by_sigkill()
        return train(cfg)

    answer = search("hydra.sweeper.n_trials=2", train=dies)
    assert answer.code == 1
    assert answer.err.count("was ended by SIGKILL") == 2 * 2 + 2
    (tmp_path / "mended").touch()
    assert search("hydra.sweeper.n_trials=2", train=dies).code == 0
    assert len(trials()) == 2


@pytest.mark.slow
def test_two_at_once_whose_trials_are_killed_too_often_do_not_wait_for_each_other(search, in_background):
    def dies(_):
        time.sleep(1)  # so that each has a trial of its own
        end_by_sigkill()

    both = [in_background(lambda: search("hydra.sweeper.n_trials=2", train=dies)) for _ in range(2)]
    assert [one.wait().code for one in both] == [1, 1]


@pytest.mark.slow
def test_two_at_once_share_the_trials(search, in_background, steps, trials, parents):
    steps.seconds = 0.02
    both = [in_background(lambda: search("hydra.sweeper.n_trials=4", train=steps.train)) for _ in range(2)]
    assert [one.wait().code for one in both] == [0, 0]
    assert len(steps.begun()) == 4
    assert [record.status for record in trials()] == ["FINISHED"] * 4
    assert [(run.info.status, counts(run)) for run in parents()] == [("FINISHED", (4, 4, 0))]


@pytest.mark.slow
def test_on_another_machine_what_is_finished_is_not_trained(search, steps, store, trials):
    """Another machine has the MLflow store and no study."""
    assert search(*ASHA, train=steps.train).code == 0
    before = search(*ASHA, "sweep.dry_run=true").out
    for path in store.folder.glob(f"{STORAGE}*"):
        path.unlink()
    assert search(*ASHA, train=steps.train).code == 0
    assert len(steps.begun()) == 3
    assert search(*ASHA, "sweep.dry_run=true").out == before


@pytest.mark.slow
def test_training_all_again_is_another_study(search, steps, trials):
    search("hydra.sweeper.n_trials=2")
    assert search("hydra.sweeper.n_trials=2", "sweep.rerun=all", train=steps.train).code == 0
    assert len(steps.begun()) == 2
    assert len(trials()) == 4


@pytest.mark.slow
def test_a_trial_that_another_machine_trains_is_waited_for(
    search, sweep, in_background, steps, store, trials, tmp_path, monkeypatch
):
    """Its trial is not started over and over meanwhile."""
    sweep("optimizer.lr=0.1,0.2")
    record = next(record for record in trials() if record.params["optimizer.lr"] == "0.1")
    for key, value in (("process.host", "elsewhere"), ("process.boot", "another")):
        store.client.set_tag(record.run_id, key, value)
    store.client.update_run(record.run_id, status="RUNNING")
    said = tmp_path / "said"
    monkeypatch.setattr("recurrent_cells.sweeps.drive.say", said.write_text)
    grid = ("optimizer.lr=0.1,0.2", "hydra.sweeper.sampler=grid", "hydra.sweeper.n_trials=2")
    waiting = in_background(lambda: search(*grid, train=steps.train))
    wait_until(said.exists)
    assert said.read_text() == "waiting for 1 trial that other processes train"
    time.sleep(2)
    store.client.set_terminated(record.run_id)
    answer = waiting.wait()
    assert (answer.code, steps.begun()) == (0, [])
    assert "busy" not in answer.err


@pytest.mark.slow
def test_packs_are_for_grids_which_a_search_says(search, trials):
    answer = search("hydra.sweeper.n_trials=1", "hydra.launcher.max_pack=8", launcher="hydra/launcher=packed")
    assert answer.code == 0
    assert answer.err.splitlines()[0] == (
        "a search proposes trials one by one: each trains by itself; packs need hydra/sweeper=grid"
    )


@pytest.mark.slow
def test_with_hydras_own_launcher_too(search, steps, trials):
    assert search(*ASHA, launcher="hydra/launcher=basic").code == 0
    assert len(trials()) == 3
    assert any(record.pruned for record in trials())


@pytest.mark.slow
def test_accuracy_and_size_together(search, trials):
    objectives = ("hydra.sweeper.objectives=[val/acc,n_params]", "hydra.sweeper.n_trials=2")
    assert search("model.hidden_size=int(interval(4,8))", *objectives).code == 0
    assert [record.status for record in trials()] == ["FINISHED"] * 2


@pytest.mark.slow
def test_of_two_objectives_those_far_from_the_front_are_pruned(search, steps, trials, parents):
    """All are of one size, and the first alone learns."""
    arguments = (*ASHA, "hydra.sweeper.objectives=[n_params,val/acc]")
    answer = search(*arguments, train=steps.train)
    assert answer.code == 0, answer.err
    assert [record.params["optimizer.lr"] for record in trials() if not record.pruned] == ["0.1"]
    assert "2 pruned, which saved" in answer.out
    assert "1 on the front of n_params and val/acc" in answer.out
    assert search(*arguments, train=steps.train).code == 0
    assert len(steps.begun()) == 3
    assert [counts(run) for run in parents()] == [(3, 3, 0)]


@pytest.mark.slow
def test_a_point_that_makes_no_config_is_one_failed_trial(search, parents):
    """Every end will do with the others at their first, but two of them contradict each other."""
    ranges = ("trainer.max_steps=null", "trainer.max_images=50,20", "data.batch_size=10,30", "optimizer.lr=0.1")
    answer = search(*ranges, "hydra.sweeper.sampler=grid", "hydra.sweeper.n_trials=4")
    assert answer.code == 1
    words = r"1 trial not finished:\n  point \d: trainer.max_images=20: allowed is at least data.batch_size=30\n"
    assert re.search(words, answer.err)
    assert [(run.info.status, counts(run)) for run in parents()] == [("FAILED", (3, 3, 1))]


@pytest.mark.slow
def test_bad_input_starts_nothing(search, runs, storage):
    before = storage.read_bytes()
    for arguments, words in (
        (("hydra.sweeper.n_trials=0",), "hydra.sweeper.n_trials=0: allowed is an integer from 1 to 100000\n"),
        (("hydra.sweeper.sampler=foo",), "hydra.sweeper.sampler=foo: allowed is one of tpe, random, cmaes, grid\n"),
        (("model.hiden_size=4,8",), "model.hiden_size: no such key; did you mean model.hidden_size?\n"),
        (("model.dropout=interval(0,2)",), "model.dropout=2.0: allowed is a number of at least 0 and below 1\n"),
        (("data.batch_size=10,70",), "data.batch_size=70: more than there are training examples; allowed is 1 to 50\n"),
    ):
        answer = search(*arguments)
        assert (answer.code, answer.err) == (2, words)
    assert runs() == []
    assert storage.read_bytes() == before


@pytest.mark.slow
def test_choices_that_change_the_data_do_not_compete(search, tmp_path, runs):
    roots = [write_data_set(tmp_path / name, train=count) for name, count in (("few", 60), ("more", 80))]
    answer = search(f"data.root={roots[0]},{roots[1]}")
    assert answer.code == 2
    assert "data blocks do not compete" in answer.err
    assert runs() == []


@pytest.mark.slow
def test_a_dry_run_tells_what_the_command_would_do(search, sweep):
    ranges = ("hydra/sweeper=optuna", "hydra.sweeper.sampler=grid", "model.num_layers=1,2")
    lone = ("optimizer.lr=0.1,0.2", "hydra.sweeper.n_trials=9")
    assert sweep(*ranges, *lone, "sweep.dry_run=true").out.startswith("4 trials: 0 to be left out, 0 to run, 4 to be ")
    assert sweep(*ranges, *lone, "hydra.launcher.slots=1").code == 0
    *table, last = sweep(*ranges[:2], *lone, ranges[2], "sweep.dry_run=true").out.splitlines()
    assert table[0].split()[1:3] == ["optimizer.lr", "model.num_layers"]
    assert {tuple(row.split()[1:3]) for row in table[1:]} == {(lr, size) for lr in ("0.1", "0.2") for size in "12"}
    assert last == "4 trials: 4 to be left out, 0 to run, 0 to be proposed by grid; nothing started"
    again = sweep(*ranges, *lone, "sweep.rerun=all", "sweep.dry_run=true").out
    assert again == "4 trials: 0 to be left out, 0 to run, 4 to be proposed by grid; nothing started\n"
    assert search("sweep.rerun=failed", "sweep.dry_run=true").out.startswith("0 trials: ")


@pytest.mark.slow
def test_a_point_whose_files_are_damaged_is_trained_again(search, steps, trials, parents):
    search("hydra.sweeper.n_trials=2")
    damaged = trials()[0]
    (local_folder(damaged.artifact_uri) / "config.yaml").unlink()
    answer = search("hydra.sweeper.n_trials=2", train=steps.train)
    assert answer.code == 0
    assert len(steps.begun()) == 1
    again = [record for record in trials() if record.fingerprint == damaged.fingerprint]
    assert sorted(record.status for record in again) == ["FAILED", "FINISHED"]
    assert [counts(run) for run in parents()] == [(2, 2, 0)]


SEEDS = ("hydra.sweeper.seeds=3", "hydra.sweeper.startup_trials=1", "hydra.sweeper.sampler=grid")


@pytest.mark.slow
def test_a_poor_proposal_is_given_up_after_its_first_seed(search, steps, trials, parents):
    """The first learns, the two that follow do not."""
    arguments = (*SEEDS, "optimizer.lr=0.1,1e-6,1e-7", "hydra.sweeper.seed=5", *LENGTH)
    answer = search(*arguments, "seed=4", train=steps.train)
    assert answer.code == 0, answer.err
    tried = sorted((float(it.params["optimizer.lr"]), it.params["seed"]) for it in trials())
    assert tried == [(1e-7, "4"), (1e-6, "4"), (0.1, "4"), (0.1, "5"), (0.1, "6")]
    assert "3 points tried; 1 trained in full with 3 seeds each; 2 given up after the first seed" in answer.out
    assert [counts(run) for run in parents()] == [(5, 5, 0)]
    assert search(*arguments, "seed=4", train=steps.train).out == answer.out
    assert len(steps.begun()) == 5
    told = search(*arguments, "seed=4", "sweep.dry_run=true").out.splitlines()[-1]
    assert told.startswith("5 trials: 5 to be left out, 0 to run, 0 to be proposed by grid, each with up to 3 seeds;")


@pytest.mark.slow
def test_a_search_with_seeds_that_is_killed_goes_on_where_it_was(search, in_background, steps, trials, parents):
    arguments = (*SEEDS, "optimizer.lr=0.1,0.05", *LENGTH)
    steps.seconds = 0.2
    first = in_background(lambda: search(*arguments, train=steps.train))
    pids = steps.wait_for(3)  # of the first proposal the third seed
    first.kill(signal.SIGKILL)
    first.wait()
    wait_until(lambda: not any(is_alive(pid) for pid in pids), seconds=5)
    steps.seconds = 0.0
    assert search(*arguments, train=steps.train).code == 0
    assert sorted(Counter(it.params["optimizer.lr"] for it in trials()).values()) in ([1, 3], [3, 3])
    assert {it.status for it in trials()} == {"FINISHED"}
    ((total, finished, failed),) = [counts(run) for run in parents()]
    assert (total, finished, failed) == (len(trials()), len(trials()), 0)
