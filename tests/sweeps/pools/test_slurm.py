"""Sweeps through Slurm's commands, which are played here by one small program that runs jobs as it is told to."""

import fcntl
import json
import os
import signal
import stat
import sys
import time
from pathlib import Path

import pytest

from benchmarks import slurm as benchmark
from recurrent_cells.files import write_atomically
from recurrent_cells.sweeps.pools import slurm as pools
from src import REPOSITORY
from tests.sweeps.processes import wait_until

pytest.importorskip("submitit")

# sbatch keeps a job's command and trials' number, squeue lists them; `start` and `end` play the node.
FAKE = """#!{python}
import fcntl, json, os, re, sys
from pathlib import Path

name, arguments, folder = Path(sys.argv[0]).name, sys.argv[1:], Path({folder!r})
jobs = folder / "jobs.json"
lock = (folder / "lock").open("w")
fcntl.flock(lock, fcntl.LOCK_EX)
known = json.loads(jobs.read_text()) if jobs.exists() else {{}}
if name == "sbatch" and "--test-only" in arguments:
    sys.exit("sbatch: error: invalid partition specified: nope" if "--partition=nope" in arguments else 0)
if name == "sbatch" and (folder / "full").exists():
    sys.exit("sbatch: error: job submit limit exceeded")
if name == "sbatch":
    script = Path(arguments[0]).read_text()
    array = re.search(r"--array=0-([0-9]+)", script)
    comment = re.search(r"--comment=(.*)", script).group(1)
    number = str(len({{it.partition("_")[0] for it in known}}) + 1)
    for index in range(int(array.group(1)) + 1) if array else [None]:
        job = number if index is None else f"{{number}}_{{index}}"
        known[job] = {{"state": "PENDING", "comment": comment, "script": script}}
    print(f"Submitted batch job {{number}}")
if name == "squeue":
    for job, it in known.items():
        number, _, index = job.partition("_")
        print("|".join([number, index or "N/A", it["state"], it["comment"]]))
if name == "scancel" and (folder / "deaf").exists():
    (folder / "deaf").unlink()
    sys.exit("scancel: error: Unable to contact slurm controller")
if name == "scancel":
    for job in arguments[1:]:
        known[job]["state"] = "CANCELLED"
if name == "sinfo":
    print((folder / "nodes").read_text() if (folder / "nodes").exists() else "localhost")
if name == "scontrol":
    known[arguments[1]]["state"] = "PENDING"
if name in ("sbatch", "scancel", "scontrol"):
    fresh = folder / f"{{os.getpid()}}.json"
    fresh.write_text(json.dumps(known))
    fresh.replace(jobs)
with (folder / "asked").open("a") as asked:
    print(name, file=asked)
"""
SLURM = "hydra/launcher=slurm"
# Where Slurm's packages are unpacked; None: they are installed, or there is no Slurm.
ROOT = Path(os.environ["SLURM_ROOT"]) if "SLURM_ROOT" in os.environ else None
LEFT = (SLURM, "hydra.launcher.wait=false")


class Cluster:
    """What Slurm knows, and a node that trains a job in a process forked from this one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def jobs(self) -> dict[str, dict[str, str]]:
        file = self.folder / "jobs.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def asked(self, name: str) -> int:
        """How often a command was given."""
        return (self.folder / "asked").read_text().split().count(name)

    @property
    def waiting(self) -> list[str]:
        return [job for job, it in self.jobs.items() if it["state"] == "PENDING"]

    def set(self, job: str, state: str) -> None:
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            jobs = self.jobs
            jobs[job]["state"] = state
            write_atomically(self.folder / "jobs.json", json.dumps(jobs).encode())

    def start(self, job: str, restarts: int = 0) -> int:
        """Run what the job's script says; its process."""
        from submitit.core.submission import process_job

        folder = Path(self.jobs[job]["script"].split()[-1])
        array, _, index = job.partition("_")
        variables = {"SLURM_JOB_ID": job, "SLURM_RESTART_COUNT": str(restarts), "SUBMITIT_EXECUTOR": "slurm"}
        if index:
            variables |= {"SLURM_ARRAY_JOB_ID": array, "SLURM_ARRAY_TASK_ID": index}
        self.set(job, "RUNNING")
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.environ |= variables
                process_job(folder)
                code = 0
            finally:
                os._exit(code)
        return pid

    def end(self, job: str, pid: int) -> None:
        """Wait for a job's process; the job is over unless it was requeued."""
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if self.jobs[job]["state"] == "RUNNING":
            self.set(job, "FAILED" if code else "COMPLETED")

    def run(self, *jobs: str) -> None:
        for job in jobs:
            self.end(job, self.start(job))


@pytest.fixture
def cluster(tmp_path, monkeypatch) -> Cluster:
    folder = tmp_path / "slurm-commands"
    folder.mkdir()
    for name in ("sbatch", "squeue", "scancel", "sinfo", "scontrol", "srun"):
        (folder / name).write_text(FAKE.format(python=sys.executable, folder=str(folder)))
        (folder / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setattr(pools, "SECONDS_BETWEEN_LOOKS", 0.2)
    return Cluster(folder)


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
