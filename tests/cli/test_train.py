"""One trial from config to MLflow run, undisturbed and killed at any step."""

import os
import shutil
import signal
from collections.abc import Callable

import pytest
import torch

from recurrent_cells.errors import Interrupted, TrialError, UserError
from recurrent_cells.tracking.queries import search
from recurrent_cells.tracking.recovery import recover
from recurrent_cells.tracking.store import Store, open_store
from recurrent_cells.training import state
from recurrent_cells.training.module import TrialModule
from recurrent_cells.trial.train import train
from tests.support import TINY, compose_config, write_data_set

TIMINGS = {"epoch_seconds", "samples_per_second"}


@pytest.fixture
def stripes(tmp_path):
    write_data_set(tmp_path / "stripes", train=240, test=60, width=6, classes=3)
    return f"data.root={tmp_path / 'stripes'}"


@pytest.fixture
def use_store(tmp_path, monkeypatch, empty_store) -> Callable[[str], Store]:
    """Make a store by name the current one."""

    def use(name: str = "store") -> Store:
        (tmp_path / name).mkdir()
        shutil.copy(empty_store, tmp_path / name / "mlflow.db")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / name / 'mlflow.db'}")
        return open_store("recurrent-cells")

    return use


def only_run(store):
    runs = list(search(store))
    assert len(runs) == 1
    return runs[0]


def curves(store, run):
    """Every point of every metric but timings."""
    return {
        key: [(point.step, point.value) for point in store.client.get_metric_history(run.info.run_id, key)]
        for key in run.data.metrics
        if key not in TIMINGS
    }


def weights(store, run):
    return state.load(artifact(run, "best.ckpt"))["weights"]


def artifact(run, name):
    from pathlib import Path

    return Path(run.info.artifact_uri.removeprefix("file://")) / name


def test_a_trial_leaves_a_complete_run(use_store, stripes):
    store = use_store()
    result = train(compose_config(*TINY, stripes, "model=gru", "trainer.max_epochs=15"))
    run = only_run(store)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "gru-h8x1-s0"
    assert result["test/acc"] == run.data.metrics["test/acc"] > 0.8
    assert set(run.data.metrics) == {
        *("train/loss", "train/acc", "train/grad_norm", "val/loss", "val/acc", "val/best_acc", "test/loss", "test/acc"),
        *("lr", "epoch", "epoch_seconds", "samples_per_second"),
    }
    assert run.data.params["model.hidden_size"] == "8"
    assert run.data.params["n_params"] == str(result["n_params"])
    tags = run.data.tags
    assert {"cell": "gru", "seed": "0", "device": "cpu", "precision": "32-true", "protocol": "held-out"}.items() <= (
        tags.items()
    )
    judged = {"metric": "acc", "metric.higher_is_better": "true", "metric.is_share": "true"}
    assert tags.items() >= ({"task": "classification"} | judged).items()
    assert {"fingerprint", "sweep", "git.commit", "git.dirty", "data.digest"} <= set(tags)
    for name in (
        "config.yaml",
        "packages.txt",
        "train.log",
        "best.ckpt",
        "confusion_matrix.png",
        "confusion_matrix.csv",
        "test_outcomes.npz",
        "first_sequences.png",
    ):
        assert artifact(run, name).stat().st_size > 0
    assert [given.dataset.name for given in run.inputs.dataset_inputs] == ["idx-train", "idx-val", "idx-test"]
    assert not store.trial_folder(run.info.run_id).exists()


def test_points_are_where_they_belong(use_store, stripes):
    store = use_store()
    train(compose_config(*TINY, stripes, "trainer.max_epochs=2"))
    points = curves(store, only_run(store))
    assert [step for step, _ in points["val/acc"]] == [10, 20]
    assert points["epoch"] == [(10, 1.0), (20, 2.0)]
    assert [step for step, _ in points["train/loss"]] == [3, 6, 9, 12, 15, 18, 20]


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_same_seed_same_bits_and_zero_is_a_seed(use_store, stripes, cell):
    results = {}
    for name, seed in (("one", 0), ("two", 0), ("other", 1)):
        store = use_store(name)
        train(compose_config(*TINY, stripes, f"model={cell}", f"seed={seed}", "model.output_dropout=0.2"))
        results[name] = curves(store, only_run(store))
    assert results["one"] == results["two"]
    assert results["one"]["train/loss"] != results["other"]["train/loss"]


@pytest.mark.slow
def test_how_often_it_is_logged_changes_no_weight(use_store, stripes):
    # Steps between two points are one call: nothing, weights cast for autocast say, may outlive a step within it.
    found = []
    for log_every in (1, 7):
        store = use_store(f"{log_every}")
        train(compose_config(*TINY, stripes, "trainer.precision=bf16-mixed", f"trainer.log_every={log_every}"))
        found.append(weights(store, only_run(store)))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def in_killed_child(action: Callable[[], object], step: int, signum: int) -> int:
    """Fork, run the action, and end the child by a signal once training has reached a step; its wait status."""
    child = os.fork()
    if child == 0:
        original = TrialModule.training_step

        def training_step(self, chunk, batch_idx):
            original(self, chunk, batch_idx)
            if self.step >= step:
                os.kill(os.getpid(), signum)

        TrialModule.training_step = training_step
        try:
            action()
        except Interrupted as interruption:
            os._exit(interruption.exit_code)
        finally:
            os._exit(99)
    return os.waitpid(child, 0)[1]


HARD = ("model=lstm", "model.num_layers=2", "model.dropout=0.3", "optimizer.warmup_steps=5", "trainer.log_every=4")


@pytest.mark.slow
@pytest.mark.parametrize(
    "extra", [("trainer.checkpoint_every=3",), ("trainer.checkpoint_every=7", "data.order=file"), ("registry=true",)]
)
def test_a_trial_killed_anywhere_ends_as_if_never_killed(use_store, stripes, extra):
    killed_anywhere(use_store, compose_config(*TINY, stripes, *HARD, *extra))


@pytest.mark.slow
@pytest.mark.parametrize("order", ["by_length", "shuffled"])
def test_a_trial_on_sequences_of_all_lengths_killed_anywhere_ends_as_if_never_killed(use_store, order):
    small = ("data.length=12", "data.examples=240", "data.val_size=40", "data.batch_size=20", "trainer.max_epochs=4")
    few = ("trainer.log_every=4", "trainer.checkpoint_every=3", "trainer.accelerator=cpu", "registry=false")
    config = compose_config("problem=parity", "model.hidden_size=8", *HARD[:-1], *small, *few, f"data.order={order}")
    killed_anywhere(use_store, config)


def killed_anywhere(use_store, config):
    """Trains a trial to its end, and again with signals on the way: both leave the same curves and weights."""
    whole = use_store("whole")
    train(config)
    expected, expected_weights = curves(whole, only_run(whole)), weights(whole, only_run(whole))

    store = use_store("killed")
    for step, signum in (
        (1, signal.SIGKILL),
        (8, signal.SIGTERM),
        (10, signal.SIGKILL),
        (27, signal.SIGINT),
        (33, signal.SIGKILL),
    ):
        status = in_killed_child(lambda: train(config), step, signum)
        if signum == signal.SIGKILL:
            assert os.WTERMSIG(status) == signal.SIGKILL
            assert only_run(store).info.status == "RUNNING"
            assert [repair.status for repair in recover(store)] == ["KILLED"]
        else:
            assert os.waitstatus_to_exitcode(status) == 128 + signum
        assert only_run(store).info.status == "KILLED"
        assert only_run(store).data.tags["error"]
    train(config)

    run = only_run(store)
    assert run.info.status == "FINISHED"
    assert "error" not in run.data.tags
    assert curves(store, run) == expected
    for name, weight in weights(store, run).items():
        assert torch.equal(weight, expected_weights[name])


def test_a_loss_that_is_not_finite_fails_the_trial_and_says_so(use_store, stripes):
    store = use_store()
    config = compose_config(*TINY, stripes, "optimizer=sgd", "optimizer.lr=3e38", "optimizer.momentum=0")
    with pytest.raises(TrialError, match=r"the training loss is (nan|inf) between steps 1 and \d"):
        train(config)
    run = only_run(store)
    assert run.info.status == "FAILED"
    assert "the training loss is" in run.data.tags["error"]
    assert "Traceback" in artifact(run, "train.log").read_text()


@pytest.mark.parametrize("place", ["training.fit.build_trainer", "trial.life.write_results"])
def test_errors_before_and_after_fit_fail_the_run(use_store, stripes, monkeypatch, place):
    def broken(*_):
        raise RuntimeError("broken on purpose")

    store = use_store()
    monkeypatch.setattr(f"recurrent_cells.{place}", broken)
    with pytest.raises(RuntimeError, match="broken on purpose"):
        train(compose_config(*TINY, stripes))
    run = only_run(store)
    assert run.info.status == "FAILED"
    assert run.data.tags["error"] == "RuntimeError: broken on purpose"


def test_bad_data_leaves_no_run(use_store, tmp_path):
    store = use_store()
    with pytest.raises(UserError, match="does not exist"):
        train(compose_config(*TINY, f"data.root={tmp_path / 'nowhere'}"))
    assert list(search(store)) == []


def test_early_stopping_counts_evaluations(use_store, stripes):
    store = use_store()
    frozen = ("optimizer=sgd", "optimizer.lr=1e-30", "trainer.early_stopping=2", "trainer.max_epochs=50")
    train(compose_config(*TINY, stripes, *frozen))
    assert [step for step, _ in curves(store, only_run(store))["val/acc"]] == [10, 20, 30]


@pytest.mark.slow
def test_a_budget_in_steps_with_evaluations_from_step_zero(use_store, stripes):
    store = use_store()
    train(compose_config(*TINY, stripes, "trainer.max_steps=25", "trainer.eval_every=8", "trainer.eval_at_start=true"))
    assert [step for step, _ in curves(store, only_run(store))["val/loss"]] == [0, 8, 16, 24, 25]


def test_watching_the_test_images_is_tagged(use_store, stripes):
    store = use_store()
    train(compose_config(*TINY, stripes, "data.validate_on=test", "data.val_size=0", "trainer.test_with=last"))
    run = only_run(store)
    assert run.data.tags["protocol"] == "test-watched"
    assert run.data.metrics["test/acc"] == run.data.metrics["val/acc"]


@pytest.mark.slow
def test_every_step_is_scored_with_readout_every(use_store, stripes):
    store = use_store()
    train(compose_config(*TINY, stripes, "model.readout=every"))
    metrics = only_run(store).data.metrics
    assert 0 < metrics["val/acc_mean_over_steps"] <= 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_cells_learn_on_a_gpu_in_every_precision(use_store, stripes, cell, precision):
    use_store()
    overrides = ("trainer=gpu", "trainer.max_epochs=10", f"model={cell}", f"trainer.precision={precision}")
    result = train(compose_config(*TINY, stripes, *overrides))
    assert result["test/acc"] > 0.8


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_graph_trains_as_its_kernels_do(use_store, stripes, caplog, cell, precision):
    found = []
    for graph in (True, False):
        store = use_store(f"{graph}")
        overrides = ("trainer=gpu", f"model={cell}", f"trainer.precision={precision}", f"trainer.cuda_graph={graph}")
        train(compose_config(*TINY, stripes, *overrides))
        found.append(curves(store, only_run(store)))
    assert "no CUDA graph" not in caplog.text
    assert found[0].keys() == found[1].keys()
    tolerance = 1e-4 if precision == "32-true" else 0.05
    for key in ("train/loss", "val/loss"):
        for (_, one), (_, other) in zip(found[0][key], found[1][key], strict=True):
            assert one == pytest.approx(other, rel=tolerance, abs=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["deliver", "set_ended", "clear"])
def test_a_trial_killed_after_its_end_was_written_is_told_of_and_not_trained_again(
    use_store, stripes, run_cli, monkeypatch, place
):
    store, command = use_store(), (*TINY, stripes, "trainer.max_epochs=1")
    child = os.fork()
    if child == 0:
        module = "delivery" if place == "set_ended" else "run"
        monkeypatch.setattr(
            f"recurrent_cells.tracking.{module}.{place}", lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        )
        try:
            train(compose_config(*command))
        finally:
            os._exit(99)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    left = only_run(store).info.run_id
    with monkeypatch.context() as untrained:
        untrained.setattr(TrialModule, "training_step", None)
        answer = run_cli(*command)
    assert answer.code == 0, answer.err
    run = only_run(store)
    assert (run.info.run_id, run.info.status) == (left, "FINISHED")
    line = answer.out.splitlines()[0]
    assert line.startswith(
        f"best val/acc {run.data.metrics['val/best_acc']:.4f}  test/acc {run.data.metrics['test/acc']:.4f}"
    )
    assert f"{int(run.data.params['n_params']):,} parameters" in line
    assert line.endswith(f"run {left}")
    assert not store.trial_folder(left).exists()

    train(compose_config(*command))  # finished earlier, and told of
    assert [run.info.status for run in search(store)] == ["FINISHED", "FINISHED"]
