"""Sweeps through Slurm's commands, which are played here, but for the last test."""

import os
import signal
import time
from pathlib import Path

import pytest

from benchmarks import slurm as benchmark
from recurrent_cells.sweeps.results import read_sweeps
from recurrent_cells.tracking.steering import ask_to_skip, ask_to_stop
from src import REPOSITORY
from tests.sweeps.processes import wait_until

pytest.importorskip("submitit")

SLURM = "hydra/launcher=slurm"
# Where Slurm's packages are unpacked; None: they are installed, or there is no Slurm.
ROOT = Path(os.environ["SLURM_ROOT"]) if "SLURM_ROOT" in os.environ else None
LEFT = (SLURM, "hydra.launcher.wait=false")


def statuses(trials):
    return [(int(record.tags["seed"]), record.status) for record in trials()]


@pytest.mark.slow
def test_a_sweep_left_to_slurm_is_collected_by_the_same_command(sweep, cluster, trials, parents):
    left = sweep("seed=0,1,2", *LEFT)
    assert left.code == 0
    assert cluster.waiting == ["1_0", "1_1", "1_2"]
    assert [parent.info.status for parent in parents()] == ["SCHEDULED"]
    cluster.run("1_0")
    cluster.set("1_1", "CANCELLED")

    again = sweep("seed=0,1,2", *LEFT)
    assert again.code == 0
    assert cluster.waiting == ["1_2", "2"]  # what waits is left there, what was lost is submitted again
    assert [parent.info.status for parent in parents()] == ["SCHEDULED"]
    cluster.run("1_2", "2")

    collected = sweep("seed=0,1,2", *LEFT)
    assert collected.code == 0
    assert cluster.waiting == []
    assert [parent.info.status for parent in parents()] == ["FINISHED"]
    assert statuses(trials) == [(0, "FINISHED"), (1, "FINISHED"), (2, "FINISHED")]


@pytest.mark.slow
def test_what_is_asked_of_a_sweep_left_to_slurm_reaches_jobs_that_have_not_begun(
    sweep, cluster, store, trials, parents
):
    sweep("seed=0,1,2", *LEFT)
    parent, entries = parents()[0].info.run_id, read_sweeps(store, "latest")[1].trials
    ask_to_skip(store, parent, next(it.fingerprint for it in entries if it.overrides["seed"] == "0"), "not now")
    cluster.run("1_0", "1_1")
    assert statuses(trials) == [(1, "FINISHED")]
    ask_to_stop(store, parent, "lunch")
    cluster.run("1_2")
    assert statuses(trials) == [(1, "FINISHED")]

    assert sweep("seed=0,1,2", *LEFT).code == 0
    assert "stop" not in parents()[0].data.tags
    cluster.run(*cluster.waiting)
    assert sweep("seed=0,1,2", *LEFT).code == 0
    assert statuses(trials) == [(1, "FINISHED"), (2, "FINISHED")]  # who asked to skip has not taken that back
    (run,) = parents()
    assert (run.info.status, run.data.tags["sweep.left"]) == ("KILLED", "1")


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["sweep.budget=10min", "sweep.stop_after_failures=1"])
def test_a_sweep_left_to_slurm_keeps_its_limits(sweep, cluster, store, trials, parents, limit):
    diverging = ("optimizer=sgd", "optimizer.lr=1e38", "optimizer.clip_norm=null")
    assert sweep("seed=0,1", *diverging, limit, *LEFT).code == 0
    assert cluster.waiting == ["1_0", "1_1"]
    if "budget" in limit:
        (parent,) = parents()
        assert 0 < float(parent.data.tags["sweep.ends"]) - time.time() < 600
        store.client.set_tag(parent.info.run_id, "sweep.ends", str(time.time()))  # ten minutes later
    cluster.run("1_0", "1_1")
    assert statuses(trials) == ([(0, "FAILED")] if "failures" in limit else [])
    sweep("seed=0,1", *diverging, *LEFT)
    assert not {"sweep.ends", "sweep.most_failed"} & parents()[0].data.tags.keys()
    cluster.run(*cluster.waiting)
    assert sorted(set(statuses(trials))) == [(0, "FAILED"), (1, "FAILED")]


@pytest.mark.slow
def test_a_sweep_that_waits_and_is_stopped_takes_its_jobs_out_of_the_queue(
    sweep, in_background, cluster, store, parents
):
    waiting = in_background(lambda: sweep("seed=0,1", SLURM))
    wait_until(lambda: len(cluster.waiting) == 2)
    ask_to_stop(store, parents()[0].info.run_id, "lunch")
    answer = waiting.wait()
    assert (answer.code, answer.err.splitlines()[-1]) == (
        0,
        "stopped: lunch; 2 trials left, with which the same command goes on",
    )
    assert {it["state"] for it in cluster.jobs.values()} == {"CANCELLED"}
    assert [parent.info.status for parent in parents()] == ["KILLED"]


@pytest.mark.slow
def test_a_command_that_waits_takes_up_what_an_earlier_one_submitted(sweep, in_background, cluster, trials):
    sweep("seed=0,1", *LEFT)
    before = cluster.asked("squeue")
    waiting = in_background(lambda: sweep("seed=0,1", SLURM))
    wait_until(lambda: cluster.asked("squeue") > before + 1)
    cluster.run("1_0", "1_1")
    answer = waiting.wait()
    assert answer.code == 0, answer.err
    assert statuses(trials) == [(0, "FINISHED"), (1, "FINISHED")]
    assert set(cluster.jobs) == {"1_0", "1_1"}
    assert "seed=0  val " in answer.err


@pytest.mark.slow
def test_a_job_that_dies_is_submitted_again_and_a_cancelled_one_is_not(
    sweep, steps, in_background, cluster, trials, parents
):
    steps.seconds = 0.2
    waiting = in_background(lambda: sweep("seed=0,1", SLURM, train=steps.train))
    wait_until(lambda: len(cluster.waiting) == 2)
    first = cluster.start("1_0")
    steps.wait_for(1)
    os.kill(first, signal.SIGKILL)
    cluster.end("1_0", first)
    second = cluster.start("1_1")
    steps.wait_for(2)
    cluster.set("1_1", "CANCELLED")
    os.kill(second, signal.SIGTERM)
    cluster.end("1_1", second)
    wait_until(lambda: cluster.waiting == ["2"])
    cluster.run("2")
    answer = waiting.wait()
    assert answer.code == 1
    assert "seed=1: Slurm job 1_1 cancelled" in answer.err
    assert statuses(trials) == [(0, "FINISHED"), (1, "KILLED")]
    assert [parent.info.status for parent in parents()] == ["FAILED"]


@pytest.mark.slow
def test_a_job_near_its_time_limit_saves_and_is_requeued_and_goes_on(sweep, steps, cluster, trials):
    steps.seconds = 0.2
    sweep("seed=0", *LEFT, train=steps.train)
    job = cluster.start("1")
    steps.wait_for(1)
    time.sleep(0.5)
    os.kill(job, signal.SIGUSR2)
    cluster.end("1", job)
    assert cluster.waiting == ["1"]
    assert statuses(trials) == [(0, "KILLED")]
    before = trials()[0].metrics
    cluster.end("1", cluster.start("1", restarts=1))
    assert statuses(trials) == [(0, "FINISHED")]
    assert before.keys() < trials()[0].metrics.keys()
    assert len(steps.begun()) == 2


@pytest.mark.slow
def test_a_requeued_job_takes_up_the_run_that_another_node_left(sweep, steps, cluster, trials, store):
    steps.seconds = 0.2
    sweep("seed=0", *LEFT, train=steps.train)
    job = cluster.start("1")
    steps.wait_for(1)
    os.kill(job, signal.SIGKILL)
    cluster.end("1", job)
    (run,) = trials()
    store.client.set_tag(run.run_id, "process.host", "a-node-that-failed")
    cluster.end("1", cluster.start("1", restarts=1))
    assert [(record.run_id, record.status) for record in trials()] == [(run.run_id, "FINISHED")]


@pytest.mark.slow
@pytest.mark.parametrize("answers", [True, False], ids=["at once", "when asked again"])
def test_ctrl_c_cancels_what_waits_and_the_parent_is_killed(sweep, in_background, cluster, parents, answers):
    if not answers:
        (cluster.folder / "deaf").touch()
    waiting = in_background(lambda: sweep("seed=0,1", SLURM))
    wait_until(lambda: len(cluster.waiting) == 2)
    waiting.kill(signal.SIGINT)
    assert waiting.wait().code == 130
    assert {it["state"] for it in cluster.jobs.values()} == {"CANCELLED"}
    assert [parent.info.status for parent in parents()] == ["KILLED"]


@pytest.mark.slow
def test_no_more_jobs_than_slots_run_at_once_whichever_command_submitted_them(sweep, cluster):
    sweep("seed=0,1", *LEFT, "hydra.launcher.slots=2")
    sweep("seed=0,1,2,3", *LEFT, "hydra.launcher.slots=2")
    first, second = cluster.jobs["1_0"]["script"], cluster.jobs["2_0"]["script"]
    assert "--array=0-1%2" in first
    assert "--dependency" not in first
    assert "--array=0-1%2" in second
    assert "--dependency=afterany:1" in second


@pytest.mark.slow
def test_slurm_is_asked_for_what_the_command_line_says(sweep, cluster):
    asked = ("partition=gpu", "time_limit=240", "cpus=4", "gpus=1", "mem=8G")
    assert sweep("seed=0", *LEFT, *(f"hydra.launcher.{it}" for it in asked)).code == 0
    script = cluster.jobs["1"]["script"]
    for flag in ("--partition=gpu", "--time=240", "--cpus-per-task=4", "--gpus-per-node=1", "--mem=8G", "--requeue"):
        assert f"#SBATCH {flag}\n" in script


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("hydra.launcher.partition=nope",), "invalid partition specified: nope"),
        (("hydra.launcher.time_limit=0",), "hydra.launcher.time_limit=0: allowed is an integer of at least 1"),
        (("hydra.launcher.gpus=-1",), "hydra.launcher.gpus=-1: allowed is an integer of at least 0"),
        (("hydra.launcher.wait=false", "hydra/sweeper=optuna", "model=lstm,gru"), "hydra.launcher.wait=false: "),
    ],
)
def test_what_slurm_or_the_sweep_cannot_do_is_refused_before_a_run_is_opened(sweep, cluster, parents, arguments, said):
    answer = sweep("seed=0", SLURM, *arguments)
    assert answer.code == 2
    assert said in answer.err
    assert parents() == []
    assert cluster.jobs == {}


@pytest.mark.slow
def test_jobs_that_slurm_refuses_when_they_are_submitted_fail_and_the_same_command_goes_on(sweep, cluster, parents):
    (cluster.folder / "full").touch()
    answer = sweep("seed=0,1", *LEFT)
    assert answer.code == 1
    assert "seed=0: sbatch: error: job submit limit exceeded" in answer.err
    assert [parent.info.status for parent in parents()] == ["FAILED"]
    (cluster.folder / "full").unlink()
    assert sweep("seed=0,1", *LEFT).code == 0
    assert cluster.waiting == ["1_0", "1_1"]


def test_a_store_in_a_file_is_refused_where_jobs_run_on_other_machines(sweep, cluster, parents):
    (cluster.folder / "nodes").write_text("node1 node2")
    answer = sweep("seed=0", SLURM)
    assert answer.code == 2
    assert "no file for trials on other machines (node1)" in answer.err
    assert parents() == []


def test_without_slurm_the_launcher_says_what_is_missing(sweep, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    answer = sweep("seed=0", SLURM)
    assert answer.code == 2
    assert "no sbatch on the PATH" in answer.err


@pytest.mark.slow
@pytest.mark.skipif((benchmark.missing() and ROOT is None) or os.geteuid() != 0, reason="no Slurm that root may start")
def test_a_sweep_through_a_real_slurm(sweep, tmp_path, trials, parents, monkeypatch):
    for name in ("SLURM_CONF", "LD_LIBRARY_PATH"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("PATH", os.environ["PATH"])
    monkeypatch.setenv("PYTHONPATH", f"{REPOSITORY}/src:{REPOSITORY}")
    (tmp_path / "slurm-daemons").mkdir()
    with benchmark.slurm(tmp_path / "slurm-daemons", ROOT):
        answer = sweep("seed=0,1", launcher=SLURM)
    assert answer.code == 0, answer.err
    assert statuses(trials) == [(0, "FINISHED"), (1, "FINISHED")]
    assert [parent.info.status for parent in parents()] == ["FINISHED"]


@pytest.mark.slow
def test_a_queue_that_does_not_answer_at_first_is_asked_again(sweep, cluster, parents):
    (cluster.folder / "busy").touch()
    left = sweep("seed=0,1", *LEFT)
    assert left.code == 0, left.err
    assert cluster.waiting == ["1_0", "1_1"]
