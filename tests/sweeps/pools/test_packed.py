"""A sweep in packs is the sweep it is in processes: its runs, what it survives and says."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from recurrent_cells.config.validation import validated
from recurrent_cells.inference.evaluation import evaluate
from recurrent_cells.inference.held_out import load_held_out
from recurrent_cells.inference.trained import load_trained
from recurrent_cells.sweeps import plan
from recurrent_cells.sweeps.grid import Point
from recurrent_cells.sweeps.packs import packed
from recurrent_cells.tracking.queries import TrialRecord
from recurrent_cells.tracking.store import Store
from recurrent_cells.training.program import Program
from tests.conftest import Answer
from tests.support import compose_config, write_data_set
from tests.sweeps.processes import end_by_sigkill, wait_until

PACKED = "hydra/launcher=packed"
TIMINGS = ("epoch_seconds", "samples_per_second")


@pytest.fixture
def in_packs(sweep) -> Callable[..., Answer]:
    """`in_packs("seed=0,1", …)` is such a sweep in packs of at most 8."""
    return lambda *arguments, **more: sweep("hydra.launcher.max_pack=8", *arguments, launcher=PACKED, **more)


def results(store: Store, records: list[TrialRecord]) -> dict[str, dict[tuple[str, int], float]]:
    """All points of trials but timings, by fingerprint, each said once."""
    found = {}
    for record in records:
        points = [
            ((key, point.step), point.value)
            for key in record.metrics
            if key not in TIMINGS
            for point in store.client.get_metric_history(record.run_id, key)
        ]
        assert len(dict(points)) == len(points)
        found[record.tags["fingerprint"]] = dict(points)
    return found


def others(records: list[TrialRecord], known: list[TrialRecord]) -> list[TrialRecord]:
    return [record for record in records if record.run_id not in {it.run_id for it in known}]


@pytest.fixture
def patched() -> Iterator[pytest.MonkeyPatch]:
    """To be undone in the middle of a test."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture
def train_slowly(patched, tmp_path) -> Callable[[], bool]:
    """Packs take their time over each stretch; whether one has begun its third."""
    train = Program.train

    def slow(self: Program, stop: int) -> None:
        time.sleep(0.3)
        if self.step >= 10:
            (tmp_path / "third").touch()
        train(self, stop)

    patched.setattr(Program, "train", slow)
    return lambda: (tmp_path / "third").exists()


@pytest.mark.slow
def test_its_trials_are_ordinary_runs_and_finished_for_every_launcher(sweep, in_packs, store, trials, parents):
    answer = in_packs("seed=0,1,2", "optimizer.lr=0.01,0.03")
    assert answer.code == 0
    assert answer.err.splitlines()[0] == "6 trials in 1 pack"
    together = trials()
    assert {(record.status, record.tags["pack"]) for record in together} == {("FINISHED", "6")}
    (parent,) = parents()
    assert parent.info.status == "FINISHED"
    assert {record.tags["mlflow.parentRunId"] for record in together} == {parent.info.run_id}
    files = {Path(it.path).name for it in store.client.list_artifacts(together[0].run_id)}
    assert {"best.ckpt", "config.yaml", "confusion_matrix.csv", "train.log"} <= files

    assert sweep("seed=0,1,2", "optimizer.lr=0.01,0.03").err == "6 of 6 trials are left out\n"
    assert sweep("seed=0,1,2", "optimizer.lr=0.01,0.03", "sweep.rerun=all").code == 0
    found, wanted = results(store, together), results(store, others(trials(), together))
    assert found.keys() == wanted.keys()
    for trial, points in wanted.items():
        assert found[trial] == pytest.approx(points, rel=1e-4, abs=1e-5)


@pytest.mark.slow
def test_a_log_has_its_own_trial_alone(in_packs, store, trials, tmp_path):
    in_packs("seed=0,1", "model.hidden_size=4,5")
    for record in trials():
        path = store.client.download_artifacts(record.run_id, "train.log", str(tmp_path))
        lines = [line for line in Path(path).read_text().splitlines() if "step " in line]
        assert ["step 10/20" in lines[0], "step 20/20" in lines[1], len(lines)] == [True, True, 2]


@pytest.mark.slow
def test_what_fits_no_pack_trains_alone(in_packs, trials):
    answer = in_packs("seed=0,1", "model.hidden_size=4,5", "data.batch_size=10")
    assert (answer.code, answer.err.splitlines()[0]) == (0, "4 trials in 2 packs")
    assert {record.tags["pack"] for record in trials()} == {"2"}
    known = trials()
    assert in_packs("seed=0", "model.hidden_size=6,7").err.splitlines()[0] == "2 trials in 0 packs, 2 alone"
    assert ["pack" in record.tags for record in others(trials(), known)] == [False, False]


@pytest.mark.slow
def test_without_a_gpu_trials_have_processes_of_their_own(sweep, trials):
    answer = sweep("seed=0,1", launcher=PACKED)
    assert answer.err.splitlines()[0].startswith("no GPU: trials run in processes of their own")
    assert ["pack" in record.tags for record in trials()] == [False, False]


@pytest.mark.slow
def test_one_that_diverges_fails_and_the_others_finish(in_packs, store, trials):
    answer = in_packs("seed=0,1", "optimizer=sgd", "optimizer.lr=0.1,1e38", "optimizer.clip_norm=null")
    assert answer.code == 1
    by_rate = {record.params["optimizer.lr"]: set() for record in trials()}
    for record in trials():
        by_rate[record.params["optimizer.lr"]].add(record.status)
    assert by_rate == {"0.1": {"FINISHED"}, "1e+38": {"FAILED"}}
    assert answer.err.count("the training loss is nan between steps 1 and 20") + answer.err.count("loss is inf") >= 2


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_ended_in_the_middle_it_goes_on_where_it_was(
    in_packs, in_background, train_slowly, store, trials, parents, patched, signum
):
    """With any launcher; and what was trained is as if nothing had happened."""
    command = in_background(lambda: in_packs("seed=0,1,2"))
    wait_until(train_slowly)
    command.kill(signum)
    answer = command.wait()
    assert answer.code == (143 if signum == signal.SIGTERM else -9)
    if signum == signal.SIGTERM:
        assert {record.status for record in trials()} == {"KILLED"}
    patched.undo()
    assert in_packs("seed=0,1,2").code == 0
    disturbed = trials()
    assert [record.status for record in disturbed] == ["FINISHED"] * 3
    assert len(parents()) == 1
    assert in_packs("seed=0,1,2", "sweep.rerun=all").code == 0
    assert results(store, others(trials(), disturbed)) == results(store, disturbed)


@pytest.mark.slow
def test_a_pack_whose_process_dies_is_trained_on(in_packs, store, trials, monkeypatch, tmp_path):
    train = Program.train

    def dying(self: Program, stop: int) -> None:
        if self.step >= 10 and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            end_by_sigkill()
        train(self, stop)

    monkeypatch.setattr(Program, "train", dying)
    answer = in_packs("seed=0,1,2")
    assert answer.code == 0
    assert answer.err.count("was ended by SIGKILL") == 3
    assert [record.status for record in trials()] == ["FINISHED"] * 3


@pytest.mark.slow
def test_interrupted_before_their_ends_trained_ones_say_so_and_need_no_training_again(
    in_packs, in_background, trials, patched, tmp_path
):
    """The test of the first trained trial hangs."""
    from recurrent_cells.trial import life

    def hang(*_: Any) -> None:
        (tmp_path / f"ending-{os.getpid()}").touch()
        time.sleep(60)

    patched.setattr(life, "write_results", hang)
    command = in_background(lambda: in_packs("seed=0,1,2"))
    wait_until(lambda: len(list(tmp_path.glob("ending-*"))) == 1)
    command.kill(signal.SIGTERM)
    command.kill(signal.SIGTERM)
    assert command.wait().code == 143
    assert all(record.status in ("KILLED", "RUNNING") for record in trials())
    patched.undo()
    patched.setattr(Program, "train", lambda *_: end_by_sigkill())
    assert in_packs("seed=0,1,2").code == 0
    assert [record.status for record in trials()] == ["FINISHED"] * 3


@pytest.mark.slow
def test_a_trial_that_another_sweep_trains_is_waited_for(in_packs, in_background, train_slowly, trials, parents):
    command = in_background(lambda: in_packs("seed=0,1"))
    wait_until(train_slowly)
    answer = in_packs("seed=1,2,3")
    assert (answer.code, command.wait().code) == (0, 0)
    assert [record.status for record in trials()] == ["FINISHED"] * 4
    assert len(parents()) == 2


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("hydra.launcher.max_pack=0", "hydra.launcher.max_pack=0: allowed is an integer of at least 1, or auto"),
        ("hydra.launcher.max_pack=many", "hydra.launcher.max_pack=many: allowed is an integer of at least 1"),
        ("hydra/sweeper=basic", "hydra/launcher=packed: packs need a sweeper that plans, hydra/sweeper=grid"),
    ],
)
def test_what_will_not_do_is_refused(sweep, runs, override, said):
    answer = sweep("seed=0,1", override, launcher=PACKED)
    assert answer.code == 2
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert runs() == []


@pytest.mark.slow
def test_trials_of_one_shape_are_grouped(tmp_path):
    root = write_data_set(tmp_path / "data")

    def trial(*overrides: str) -> plan.Trial:
        shared = ("data=idx", f"data.root={root}", "data.val_size=10", "data.batch_size=10", "trainer=cpu")
        config = validated(compose_config(*shared, *overrides))
        return plan.plan_trials([Point((), {}, config)])[0]

    trials = [
        trial("seed=0"),
        trial("model.hidden_size=64"),
        trial("seed=1", "optimizer.lr=0.5", "optimizer.clip_norm=1", "model.output_dropout=0.5"),
        trial("seed=2", "model.init=keras", "data.order=file", "trainer.early_stopping=3"),
        trial("trainer.max_epochs=3"),
        trial("seed=1", "model.hidden_size=64", "optimizer.schedule=none"),
        trial("seed=1", "model.hidden_size=64", "trainer.profile=true"),
        trial("optimizer=sgd"),
        trial("seed=3", "optimizer.schedule=none", "trainer.max_seconds=60"),
        trial("seed=4", "optimizer.schedule=none", "trainer.max_seconds=60"),
    ]
    packs = [[trials.index(trial) for trial in pack] for pack in packed(trials, slots=1)]
    assert packs == [[0, 2, 3], [1, 5], [4], [6], [7], [8], [9]]
    assert [len(pack) for pack in packed([trial(f"seed={seed}") for seed in range(5)], slots=2)] == [3, 2]


@pytest.mark.slow
def test_a_packed_trial_is_evaluated_and_trained_again_as_any_other(in_packs, run_cli, store, trials):
    in_packs("seed=0,1")
    record = trials()[0]
    trained = load_trained(store, record)
    evaluation = evaluate(trained, load_held_out(trained, None, None))
    assert evaluation.accuracy == record.metrics["test/acc"]
    answer = run_cli(f"reproduce={record.run_id}")
    assert answer.code == 0
    assert "one of 2 trials trained as one program then, alone now" in answer.err
