import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from recurrent_cells.config.schema import Config
from recurrent_cells.errors import Interrupted, TrialError, UserError
from recurrent_cells.sweeps.drive import drive
from recurrent_cells.sweeps.feeds import GridFeed
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.sweeps.pools.local import LocalPool, gpu_of_slot
from tests.conftest import Answer
from tests.sweeps.processes import end_by_sigkill, is_alive, wait_until


@pytest.fixture
def launch(store):
    """`launch(train, 3)` are the outcomes of three trials, which differ in their seed."""

    def run(train, count, slots=2):
        pool = LocalPool(slots)
        pool.prepare(train, OmegaConf.create({"trainer": {"accelerator": "cpu"}, "registry": False}), store)
        configs = [replace(Config(), seed=seed) for seed in range(count)]
        trials = [Trial((), {}, config, f"trial {config.seed}", f"f{config.seed}", "", 1) for config in configs]
        feed = GridFeed(trials)
        drive(feed, pool, store, None, retries=0)
        return [feed.outcomes[trial.fingerprint] for trial in trials]

    return run


def test_trials_run_in_processes_of_their_own_at_most_slots_at_once(launch, tmp_path):
    running = tmp_path / "running"
    running.mkdir()

    def train(cfg):
        (running / str(cfg.seed)).touch()
        most = len(list(running.iterdir()))
        time.sleep(0.3)
        (running / str(cfg.seed)).unlink()
        return {"seed": cfg.seed, "pid": os.getpid(), "at once": most}

    outcomes = launch(train, 5, slots=2)
    assert [outcome.result["seed"] for outcome in outcomes] == [0, 1, 2, 3, 4]
    assert {outcome.status for outcome in outcomes} == {"finished"}
    assert len({outcome.result["pid"] for outcome in outcomes} | {os.getpid()}) == 6
    assert max(outcome.result["at once"] for outcome in outcomes) == 2


def fail():
    raise ValueError("broken on purpose\nsecond line")


def end_by_error_code():
    print("a last word")
    sys.stdout.flush()
    os._exit(3)


def use_too_much_memory():
    raise MemoryError("no room")


def lose(error):
    raise error


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        (fail, "failed", "ValueError: broken on purpose"),
        (use_too_much_memory, "failed", "MemoryError: no room"),
        (lambda: sys.exit(0), "failed", "SystemExit: 0"),
        (end_by_error_code, "failed", "process PID exited with 3; it said last: a last word"),
        (end_by_sigkill, "killed", "process PID was ended by SIGKILL"),
        (lambda: os.kill(os.getpid(), signal.SIGRTMIN), "killed", "process PID was ended by SIGRTMIN"),
        (lambda: lose(Interrupted(signal.SIGTERM)), "killed", "SIGTERM"),
        (lambda: lose(TrialError("the loss is nan" + "!" * 100_000)), "failed", "the loss is nan!!!"),
        (
            lambda: {"x": object()},
            "failed",
            "process PID exited with 1; it said last: TypeError: Object",
        ),
    ],
    ids=["error", "memory", "sys.exit", "os._exit", "SIGKILL", "signal", "asked", "long", "result"],
)
def test_a_trial_that_goes_wrong_costs_itself_alone(launch, tmp_path, fault, status, error):
    def train(cfg):
        if cfg.seed == 1:
            (tmp_path / "pid").write_text(str(os.getpid()))
            return fault()
        return {}

    before, wrong, after = launch(train, 3, slots=1)
    assert (before.status, wrong.status, after.status) == ("finished", status, "finished")
    assert wrong.error.startswith(error.replace("PID", (tmp_path / "pid").read_text()))
    assert len(wrong.error) < 3000


def test_the_traceback_of_a_failed_trial_is_kept(launch):
    (outcome,) = launch(lambda cfg: fail(), 1)
    content = Path(outcome.log).read_text()
    Path(outcome.log).unlink()
    assert "in fail" in content
    assert content.rstrip().endswith("second line")


def test_a_process_left_behind_by_a_trial_holds_nothing_up(launch, tmp_path):
    def train(cfg):
        if os.fork() == 0:
            (tmp_path / "pid").write_text(str(os.getpid()))
            time.sleep(60)
            os._exit(0)
        wait_until(lambda: (tmp_path / "pid").exists())
        end_by_sigkill()

    start = time.monotonic()
    (outcome,) = launch(train, 1)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert outcome.status == "killed"
    assert time.monotonic() - start < 30


def patient_trial(folder, ends_when_asked=True):
    """A trial that says where it is and goes on until a signal."""

    def train(cfg):
        if not ends_when_asked:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        (folder / f"pid-{cfg.seed}-{os.getpid()}").touch()
        time.sleep(60)

    return train


def pids(folder):
    return [int(path.name.split("-")[2]) for path in folder.glob("pid-*")]


def in_fork(in_background, launch, train, count):
    def action():
        try:
            launch(train, count)
        except Interrupted as interruption:
            return Answer(interruption.exit_code, "", "")
        return Answer(0, "", "")

    return in_background(action)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_running_trials_and_starts_no_more(in_background, launch, tmp_path, signum, code):
    launcher = in_fork(in_background, launch, patient_trial(tmp_path), 4)
    wait_until(lambda: len(pids(tmp_path)) == 2)
    launcher.kill(signum)
    assert launcher.wait().code == code
    assert len(pids(tmp_path)) == 2
    assert not any(is_alive(pid) for pid in pids(tmp_path))


def test_a_second_signal_ends_them_at_once(in_background, launch, tmp_path):
    launcher = in_fork(in_background, launch, patient_trial(tmp_path, ends_when_asked=False), 2)
    wait_until(lambda: len(pids(tmp_path)) == 2)
    launcher.kill(signal.SIGINT)
    time.sleep(0.2)
    assert all(is_alive(pid) for pid in pids(tmp_path))
    launcher.kill(signal.SIGINT)
    assert launcher.wait().code == 130
    assert not any(is_alive(pid) for pid in pids(tmp_path))


def test_trials_die_with_the_sweep(in_background, launch, tmp_path):
    launcher = in_fork(in_background, launch, patient_trial(tmp_path), 2)
    wait_until(lambda: len(pids(tmp_path)) == 2)
    launcher.kill(signal.SIGKILL)
    assert launcher.wait().code == -signal.SIGKILL
    wait_until(lambda: not any(is_alive(pid) for pid in pids(tmp_path)), seconds=5)


@pytest.mark.parametrize("slots", [0, -1])
def test_the_number_of_slots_is_checked(launch, slots):
    with pytest.raises(UserError, match=f"^hydra.launcher.slots={slots}: allowed is an integer of at least 1, or null"):
        launch(lambda cfg: {}, 1, slots=slots)


def test_a_slot_has_one_of_the_gpus_that_are_visible(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [gpu_of_slot(slot, 2)["CUDA_VISIBLE_DEVICES"] for slot in range(3)] == ["0", "1", "0"]
    assert gpu_of_slot(0, 1) == {}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,3")
    assert [gpu_of_slot(slot, 2)["CUDA_VISIBLE_DEVICES"] for slot in range(3)] == ["5", "3", "5"]


def test_a_parent_that_ignored_the_ends_of_children_costs_nothing(launch):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert [outcome.status for outcome in launch(lambda config: {}, 2)] == ["finished"] * 2
    finally:
        signal.signal(signal.SIGCHLD, before)
