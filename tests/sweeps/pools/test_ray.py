"""Sweeps on a Ray of their own on this machine, and what is refused before one is started."""

import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from recurrent_cells.errors import UserError
from recurrent_cells.sweeps.ray import cluster
from tests.sweeps.processes import is_alive, wait_until

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.ray
RAY = "hydra/launcher=ray"
STARTED = 180.0  # seconds in which a Ray starts on a busy machine
ONE_AT_A_TIME = f"hydra.launcher.num_cpus={os.cpu_count()}"  # each process of Ray imports everything


def statuses(trials):
    return [(int(record.tags["seed"]), record.status) for record in trials()]


def histories(store, records):
    """What each run has in its curves, but for the time they took."""
    keys = ("train/loss", "val/loss", "val/acc", "test/loss")
    return [
        [[(point.step, point.value) for point in store.client.get_metric_history(record.run_id, key)] for key in keys]
        for record in records
    ]


def faulty(folder):
    """A task that is sent to other processes: closures travel whole, a test's module could not be found there."""

    def train(cfg):
        from recurrent_cells.trial.train import train as original

        if cfg.seed == 1:
            raise ValueError("broken on purpose")
        if cfg.seed == 2:
            sys.exit(0)
        if cfg.seed == 3 and not (folder / "died").exists():
            from recurrent_cells.training.module import TrialModule

            (folder / "died").touch()
            TrialModule.training_step = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        return original(cfg)

    return train


@pytest.mark.slow
def test_trials_are_those_of_the_local_launcher_and_faults_cost_themselves_alone(
    sweep, in_background, store, trials, tmp_path
):
    answer = in_background(lambda: sweep("seed=range(0,5)", ONE_AT_A_TIME, train=faulty(tmp_path), launcher=RAY)).wait()
    assert answer.code == 1, answer.err
    assert statuses(trials) == [(0, "FINISHED"), (3, "FINISHED"), (4, "FINISHED")]
    assert "seed=3  killed: its Ray worker or node died (WorkerCrashedError)" in answer.err
    assert "seed=1: ValueError: broken on purpose\n    log: " in answer.err
    assert "seed=2: the trial called sys.exit(0)" in answer.err
    log = Path(answer.err.partition("seed=1: ValueError: broken on purpose\n    log: ")[2].splitlines()[0])
    assert "in train" in log.read_text()
    assert {record.tags["git.commit"] for record in trials()} != {"unknown"}

    on_ray = histories(store, trials())
    assert sweep("seed=0,3,4", "sweep.rerun=all").code == 0
    latest = {record.fingerprint: record for record in sorted(trials(), key=lambda record: record.end_time)}
    assert len(trials()) == 6
    assert histories(store, sorted(latest.values(), key=lambda record: int(record.tags["seed"]))) == on_ray


@pytest.mark.slow
def test_a_pack_is_one_task(sweep, in_background, store, trials):
    arguments = ("seed=0,1,2", ONE_AT_A_TIME, "hydra.launcher.max_pack=8")
    answer = in_background(lambda: sweep(*arguments, launcher=RAY)).wait()
    assert answer.code == 0, answer.err
    assert {(record.status, record.tags["pack"]) for record in trials()} == {("FINISHED", "3")}
    assert len({record.tags["process.pid"] for record in trials()}) == 1
    packed = [record.metrics["val/loss"] for record in trials()]
    known = {record.run_id for record in trials()}
    assert sweep("seed=0,1,2", "sweep.rerun=all").code == 0
    alone = [record.metrics["val/loss"] for record in trials() if record.run_id not in known]
    assert packed == pytest.approx(alone, rel=1e-4)


def slow(folder):
    def train(cfg):
        from recurrent_cells.training.module import TrialModule
        from recurrent_cells.trial.train import train as original

        step = TrialModule.training_step

        def slow_step(*arguments):
            (folder / f"pid-{os.getpid()}").touch()
            time.sleep(0.3)
            step(*arguments)

        TrialModule.training_step = slow_step
        return original(cfg)

    return train


@pytest.mark.slow
def test_a_signal_has_trials_save_and_a_killed_launcher_takes_them_along(
    sweep, in_background, store, trials, parents, tmp_path
):
    def pids():
        return [int(path.name.removeprefix("pid-")) for path in tmp_path.glob("pid-*")]

    first = in_background(lambda: sweep("seed=0,1", ONE_AT_A_TIME, train=slow(tmp_path), launcher=RAY))
    wait_until(lambda: len(pids()) >= 1, seconds=STARTED)
    first.kill(signal.SIGTERM)
    answer = first.wait()
    assert answer.code == 143
    assert answer.err.splitlines()[-1] == "interrupted by SIGTERM: the same command goes on where this one was"
    assert statuses(trials) == [(0, "KILLED")]
    assert [run.info.status for run in parents()] == ["KILLED"]

    for path in tmp_path.glob("pid-*"):
        path.unlink()
    second = in_background(lambda: sweep("seed=0,1", ONE_AT_A_TIME, train=slow(tmp_path), launcher=RAY))
    wait_until(lambda: len(pids()) >= 1, seconds=STARTED)
    second.kill(signal.SIGKILL)
    assert second.wait().code == -signal.SIGKILL
    wait_until(lambda: not any(is_alive(pid) for pid in pids()), seconds=30)

    assert sweep("seed=0,1").code == 0
    assert statuses(trials) == [(0, "FINISHED"), (1, "FINISHED")]
    for record in trials():
        assert [point.step for point in store.client.get_metric_history(record.run_id, "val/acc")] == [10, 20]


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ("num_gpus=1.5", "hydra.launcher.num_gpus=1.5: allowed is a whole number or a fraction of 1"),
        ("num_cpus=-1", "hydra.launcher.num_cpus=-1: allowed is a whole number or a fraction of 1"),
        ("address=here", "hydra.launcher.address=here: that is no HOST:PORT;"),
    ],
)
def test_what_will_not_do_is_refused_and_nothing_started(sweep, parents, given, refusal):
    more = ["hydra.launcher.num_gpus=0"] if given.startswith("num_cpus") else []
    answer = sweep("seed=0", f"hydra.launcher.{given}", *more, launcher=RAY)
    assert answer.code == 2
    assert answer.err.splitlines()[0] == refusal
    assert parents() == []
    assert not ray.is_initialized()


def test_packs_under_hydras_own_sweeper_are_refused(sweep, runs):
    answer = sweep("seed=0,1", "hydra/sweeper=basic", "hydra.launcher.max_pack=4", launcher=RAY)
    assert answer.code == 2
    assert answer.err == "hydra/launcher=ray: packs need a sweeper that plans, hydra/sweeper=grid\n"
    assert runs() == []


def test_an_address_where_nothing_answers_is_refused_at_once():
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    with pytest.raises(UserError, match=f"^hydra.launcher.address=127.0.0.1:{free}: nothing answers there "):
        cluster.connect(f"127.0.0.1:{free}")


def test_without_ray_a_line_says_how_to_get_it(sweep, parents, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    answer = sweep("seed=0", launcher=RAY)
    assert answer.code == 2
    assert answer.err == "hydra/launcher=ray: Ray is not installed; pip install --editable '.[ray]' installs it\n"
    assert parents() == []


def test_places_are_counted_node_by_node(monkeypatch):
    nodes = [
        {"Alive": True, "Resources": {"CPU": 3.0, "GPU": 1.0}},
        {"Alive": True, "Resources": {"CPU": 8.0}},
        {"Alive": False, "Resources": {"CPU": 8.0, "GPU": 8.0}},
    ]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    assert cluster.places(num_cpus=2, num_gpus=0) == 5
    assert cluster.places(num_cpus=1, num_gpus=0.25) == 3
    assert cluster.places(num_cpus=0, num_gpus=0.5) == 2
    assert cluster.places(num_cpus=16, num_gpus=0) == 0


def test_a_trial_that_takes_nothing_is_refused(sweep, parents, monkeypatch):
    monkeypatch.setattr(cluster, "connect", lambda address: None)
    answer = sweep("seed=0", "hydra.launcher.num_cpus=0", launcher=RAY)
    assert answer.code == 2
    assert answer.err == "hydra.launcher.num_cpus=0: a trial must take something; give num_cpus or num_gpus\n"
    assert parents() == []


def test_a_store_in_a_file_is_refused_where_nodes_are_elsewhere(sweep, parents, monkeypatch):
    monkeypatch.setattr(cluster, "connect", lambda address: None)
    monkeypatch.setattr(cluster, "places", lambda *_: 4)
    monkeypatch.setattr(cluster, "other_hosts", lambda: ["10.0.0.7"])
    answer = sweep("seed=0", launcher=RAY)
    assert answer.code == 2
    assert "no file for trials on other machines (10.0.0.7); set it to a server, http://HOST:PORT" in answer.err
    assert parents() == []
