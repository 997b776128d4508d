"""A cell, a data source, a task with its metric, an optimiser and a pool of a user's files do all that ours do."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from recurrent_cells.cli import export, report
from recurrent_cells.models.cells import linear
from recurrent_cells.training.program import Program
from tests.support import refusal

CELL = """
from recurrent_cells.models.cells import Cell, gate_shapes, linear

class OutputGRU(Cell):
    '''A GRU with one gate more, between the state and what is read of it.'''

    name, label, color, source = "output_gru", "Output GRU", "#AA3377", "written for a test"
    num_states = 2

    def shapes(self, input_size, hidden_size):
        return gate_shapes(4, input_size, hidden_size)

    def step(self, inputs, state, weights):
        _, h = state
        r, z, n, o = inputs.chunk(4, dim=-1)
        of_r, of_z, of_n, of_o = linear(h, weights["weight_hh"], weights["bias_hh"]).chunk(4, dim=-1)
        z, n = (z + of_z).sigmoid(), (n + (r + of_r).sigmoid() * of_n).tanh()
        h = n + z * (h - n)
        return (o + of_o).sigmoid() * h, h
"""
SOURCE = """
import numpy as np
from recurrent_cells.data.sources import Part, Source

class Sums(Source):
    '''Series of two features; the number asked for is the mean of the first.'''

    name = "sums"
    defaults = {"batch_size": 10, "val_size": 20, "test_size": 20, "normalize": "none"}

    def load(self, data):
        values = np.random.RandomState(0).uniform(-1, 1, (100, 7, 2)).astype(np.float32)
        return [Part(values, values[:, :, 0].mean(axis=1), "data=sums")]
"""
TASK = """
from recurrent_cells.tasks import Task
from recurrent_cells.tasks.metrics import Metric

class SquaredError(Metric):
    name, higher_is_better = "squared", False

    def __call__(self, outputs, targets):
        return (outputs[..., 0].double() - targets) ** 2

class LeastSquares(Task):
    name, metric = "least_squares", "squared"

    def loss(self, outputs, targets):
        return ((outputs[..., 0] - targets) ** 2).mean(dim=-1)
"""
OPTIMIZER = """
import torch
from recurrent_cells.training.optimizers import Optimizer

class DecoupledAdam(Optimizer):
    name = "decoupled_adam"

    def build(self, settings, parameters):
        return torch.optim.AdamW(
            parameters, lr=settings.lr, betas=(settings.beta1, settings.beta2), weight_decay=settings.weight_decay
        )
"""
POOL = """
from recurrent_cells.sweeps.pools.local import LocalPool

class OneByOne(LocalPool):
    name = "one_by_one"

    def __init__(self):
        super().__init__(slots=1)
"""
FILES = {"cell": CELL, "source": SOURCE, "task": TASK, "optimizer": OPTIMIZER, "pool": POOL}
CHOSEN = ("model=output_gru", "data=sums", "task=least_squares", "optimizer=decoupled_adam", "optimizer.lr=0.01")
SHORT = ("trainer=cpu", "trainer.max_steps=40", "trainer.eval_every=10", "trainer.log_every=5", "model.hidden_size=5")


@pytest.fixture
def given(tmp_path, store_file) -> tuple[str, ...]:
    """A command line that trains with the user's files."""
    for name, content in FILES.items():
        (tmp_path / f"my_{name}.py").write_text(content)
    paths = ",".join(str(tmp_path / f"my_{name}.py") for name in FILES)
    return f"extensions=[{paths}]", *CHOSEN, *SHORT


def metrics(run, *names):
    return {name: value for name, value in run.data.metrics.items() if name.startswith(names)}


def weights(run) -> dict[str, torch.Tensor]:
    path = Path(run.info.artifact_uri.removeprefix("file://")) / "best.ckpt"
    found: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["weights"]
    return found


@pytest.mark.slow
def test_a_trial_trains_and_says_by_what_it_is_judged(run_cli, given, runs):
    answer = run_cli(*given)
    assert answer.code == 0, answer.err
    assert "val/squared" in answer.out
    (run,) = runs()
    assert {"train/squared", "val/squared", "val/best_squared", "test/squared"} <= run.data.metrics.keys()
    assert run.data.metrics["val/best_squared"] <= run.data.metrics["val/squared"]
    assert run.data.metrics["test/squared"] == pytest.approx(run.data.metrics["test/loss"], rel=1e-5)
    assert (run.data.tags["task"], run.data.tags["metric"]) == ("least_squares", "squared")
    assert run.data.tags["metric.higher_is_better"] == "false"
    assert run.info.run_name == "output_gru-h5x1-s0"


@pytest.mark.slow
def test_the_cell_is_its_own_equations(run_cli, given, runs):
    """The network that is kept answers as a loop over the steps in float64 does."""
    assert run_cli(*given).code == 0
    own = {name: value.double() for name, value in weights(runs()[0]).items()}
    values = torch.from_numpy(np.random.RandomState(0).uniform(-1, 1, (100, 7, 2)))
    h = torch.zeros(100, 5, dtype=torch.float64)
    for x in values.unbind(1):
        w, u, b, c = (own[f"recurrent.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        r, z, n, o = linear(x, w, b).chunk(4, dim=-1)
        of_r, of_z, of_n, of_o = linear(h, u, c).chunk(4, dim=-1)
        z = torch.sigmoid(z + of_z)
        h = (1 - z) * torch.tanh(n + torch.sigmoid(r + of_r) * of_n) + z * h
        read = torch.sigmoid(o + of_o) * h
    answers = read @ own["head.0.weight"].T + own["head.0.bias"]
    from recurrent_cells.inference.trained import find_winner, load_trained
    from recurrent_cells.tracking.store import open_store

    store = open_store("recurrent-cells")
    trained = load_trained(store, find_winner(store, "best"))
    found = trained.classifier(values.float())
    torch.testing.assert_close(found, answers.float(), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_killed_anywhere_it_ends_as_if_never_killed(run_cli, given, runs, monkeypatch):
    assert run_cli(*given).code == 0
    (undisturbed,) = runs()
    step = Program._take_step
    for at in (13, 31):
        pid = os.fork()
        if pid == 0:
            try:
                monkeypatch.setattr(
                    Program,
                    "_take_step",
                    lambda self, number, *rest, at=at: (
                        os.kill(os.getpid(), signal.SIGKILL) if number == at else step(self, number, *rest)
                    ),
                )
                run_cli(*given, "trainer.checkpoint_every=5")
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert run_cli(*given, "trainer.checkpoint_every=5").code == 0
    latest = max(runs(), key=lambda run: run.info.start_time)
    assert latest.info.run_id != undisturbed.info.run_id
    names = ("train/", "val/", "test/", "lr")
    assert metrics(latest, *names) == metrics(undisturbed, *names)
    wanted = weights(undisturbed)
    assert all(torch.equal(value, wanted[name]) for name, value in weights(latest).items())


@pytest.mark.slow
def test_a_sweep_in_the_users_pool_is_reported_and_the_best_exported(run_cli, given, runs, tmp_path, capsys):
    answer = run_cli("-m", *given, "model=output_gru,gru", "seed=0,1", "hydra/launcher=one_by_one")
    assert answer.code == 0, answer.err
    assert "4 trials on 1 slot" in answer.err
    assert "Champion" in answer.out
    report.main(["sweep=latest"])
    assert "Output GRU" in capsys.readouterr().out
    export.main(["run=best", "format=torch", f"to={tmp_path / 'network.pt2'}"])
    assert (tmp_path / "network.pt2").exists()
    finished = [run for run in runs() if "fingerprint" in run.data.tags]
    best = min(finished, key=lambda run: run.data.metrics["val/best_squared"])
    assert best.info.run_id in capsys.readouterr().out


@pytest.mark.slow
def test_packs_train_what_trials_alone_train(run_cli, given, runs):
    assert run_cli("-m", *given, "seed=0,1,2").code == 0
    alone = {run.data.tags["seed"]: run for run in runs() if "fingerprint" in run.data.tags}
    packed = run_cli(
        *("-m", *given, "seed=0,1,2", "sweep.rerun=all"), *("hydra/launcher=packed", "hydra.launcher.max_pack=3")
    )
    assert packed.code == 0, packed.err
    assert "in 1 pack" in packed.err
    found = [run for run in runs() if "pack" in run.data.tags]
    assert len(found) == 3
    for run in found:
        for name, value in metrics(run, "train/", "val/", "test/").items():
            assert value == pytest.approx(alone[run.data.tags["seed"]].data.metrics[name], rel=1e-3, abs=1e-5), name


@pytest.mark.slow
def test_a_search_looks_for_the_lowest_error(run_cli, given, runs):
    answer = run_cli(
        *("-m", *given, "hydra/sweeper=optuna", "hydra.sweeper.n_trials=4", "hydra.sweeper.startup_trials=2"),
        "optimizer.lr=tag(log,interval(1e-4,3e-2))",
    )
    assert answer.code == 0, answer.err
    assert len([run for run in runs() if "fingerprint" in run.data.tags]) == 4


@pytest.mark.slow
def test_without_its_file_a_network_is_not_loaded_and_with_another_neither(run_cli, given, tmp_path, capsys):
    assert run_cli(*given).code == 0
    from recurrent_cells.config import extensions

    extensions.clear()
    (tmp_path / "my_cell.py").write_text(CELL + "\n# changed")
    said = refusal(export.main, ["run=best", "format=torch", f"to={tmp_path / 'x.pt2'}"], capsys)
    assert "my_cell.py" in said
    assert "changed" in said


@pytest.mark.slow
def test_a_network_of_series_is_not_asked_about_pictures(run_cli, given, tmp_path, capsys):
    from recurrent_cells.cli import predict

    assert run_cli(*given).code == 0
    (tmp_path / "one.png").write_bytes(b"")
    said = refusal(predict.main, ["run=best", f"images={tmp_path / 'one.png'}"], capsys)
    assert json.dumps(said)
