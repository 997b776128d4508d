"""Sequences of different lengths train, alone and in packs, as if each ended at its last valid step."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from recurrent_cells.config.schema import ModelConfig
from recurrent_cells.data.reading import Reading
from recurrent_cells.data.splits import Split, Splits
from recurrent_cells.interrupts import Interruption
from recurrent_cells.models.classifier import Classifier, build_classifier
from recurrent_cells.tasks import Targets, Task, task_of
from recurrent_cells.training import fit
from recurrent_cells.training.device import resolve_device
from tests.models.layers import OF_CPU
from tests.training import test_fit
from tests.training.test_fit import DIFFERENT, alone, assert_same, packed

FEATURES, CLASSES, LONGEST = 3, 4, 9


def drawn(count: int, seed: int, padding: float = 0.0, width: int = LONGEST, asked: str = "class") -> Split:
    """Series with their lengths, and what is asked of them.

    Their `class` is where their first feature is largest; `numbers` are two of their means; the classes of their
    `steps` are signs of two features, asked for where the third is positive.
    """
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(count, LONGEST, FEATURES, generator=generator)
    lengths = torch.randint(2, LONGEST + 1, (count,), generator=generator)
    lengths[0], lengths[1] = LONGEST, 1
    values = torch.nn.functional.pad(values, (0, 0, 0, width - LONGEST))
    padded = (torch.arange(width) >= lengths[:, None]).unsqueeze(-1)
    targets = values[:, :, 0].masked_fill(padded[..., 0], -10).argmax(dim=1) % CLASSES
    if asked == "numbers":
        targets = values.masked_fill(padded, 0).sum(dim=1)[:, :2] / lengths[:, None] * 100 + 7
    elif asked == "steps":
        of_steps = (values[:, :, 0] > 0).long() + 2 * (values[:, :, 1] > 0)
        targets = of_steps.masked_fill((values[:, :, 2] < 0) | padded[..., 0], -1)
    return Split(values.masked_fill(padded, padding), targets, lengths)


def series(padding: float = 0.0, width: int = LONGEST, asked: str = "class") -> Splits:
    train, val, test = (drawn(count, seed, padding, width, asked) for seed, count in enumerate((60, 23, 31)))
    classes = 0 if asked == "numbers" else CLASSES
    return Splits(train, val, test, classes, None, False, (width, FEATURES), Reading("rows"), "", 0.0, 1.0)


@pytest.fixture
def read(monkeypatch):
    """`read(padding=…, width=…)`: from now on trials read these series."""

    def reading(**how: Any) -> Splits:
        splits = series(**how)
        monkeypatch.setattr(test_fit, "load_splits", lambda data: splits)
        return splits

    reading()
    return reading


NETWORKS = (
    ("model=lstm", "model.bidirectional=true", "model.num_layers=2"),
    ("model=gru", "model.readout=mean", "model.frontend=linear", "model.frontend_size=5"),
    ("model=simple_rnn", "model.readout=every"),
    ("model=lstm", "model.readout=every", "model.kernel=reference", "model.output_dropout=0.2"),
    ("model=gru", "data.order=by_length"),
    (
        "model=gru",
        "model.block=residual",
        "model.num_layers=2",
        "model.bidirectional=true",
        "optimizer=adamw",
        "optimizer.recurrent_lr_factor=0.5",
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("overrides", NETWORKS, ids=lambda it: " ".join(it))
@pytest.mark.parametrize("count", [1, 2])
def test_what_stands_in_the_padding_changes_no_bit_of_a_trial(configs, tmp_path, read, overrides, count):
    each = [{"seed": seed} for seed in range(count)]
    chosen = configs(*overrides, "trainer.precision=32-true", "trainer.max_steps=40", each=each)
    wanted = packed(chosen, tmp_path)
    for padding in (float("nan"), 1e30):
        read(padding=padding)
        found = packed(chosen, tmp_path)
        assert_same(found.states, wanted.states, tolerance=0)
        assert_same(found.points, wanted.points, tolerance=0)


@pytest.mark.slow
@pytest.mark.parametrize("overrides", NETWORKS, ids=lambda it: " ".join(it))
def test_how_wide_the_padding_is_only_rounds(configs, tmp_path, read, overrides):
    (config,) = configs(*overrides, "model.output_dropout=0", "trainer.max_steps=80", each=[{"seed": 0}])
    wanted, points = alone(config, tmp_path)
    read(width=LONGEST + 6)
    state, found = alone(config, tmp_path)
    assert_same(state, wanted)
    # A mean over all steps there are; splits are cut at their longest sequence.
    assert_same(
        {at: it for at, it in found.items() if "over_steps" not in at[0]},
        {at: it for at, it in points.items() if "over_steps" not in at[0]},
    )


@pytest.mark.slow
@pytest.mark.parametrize("overrides", NETWORKS, ids=lambda it: " ".join(it))
def test_in_a_pack_each_is_what_it_is_alone(configs, tmp_path, read, overrides):
    chosen = configs(*overrides, "trainer.max_steps=60", each=DIFFERENT)
    kept = packed(chosen, tmp_path)
    assert kept.errors == dict.fromkeys(range(3))
    for place, config in enumerate(chosen):
        wanted, points = alone(config, tmp_path)
        assert_same(kept.states[place], wanted)
        assert_same(kept.points[place], points)


@pytest.mark.slow
@pytest.mark.parametrize("overrides", NETWORKS, ids=lambda it: " ".join(it))
def test_a_trial_goes_on_from_its_state_to_the_bit(configs, tmp_path, read, overrides):
    shared = ("trainer.precision=32-true", "trainer.max_steps=80", "optimizer.schedule=none")
    (config,) = configs(*overrides, *shared, each=[{"seed": 3}])
    wanted, points = alone(config, tmp_path)
    half = replace(config, trainer=replace(config.trainer, max_steps=40))
    state, first = alone(half, tmp_path)
    found, rest = alone(config, tmp_path, state)
    assert_same(found, wanted, tolerance=0)
    assert_same(first | rest, points, tolerance=0)


def after_test(config: Any, folder: Any, size: int) -> tuple[fit.Tested, dict[str, float]]:
    """What came of a trial's test with so many sequences evaluated at once."""
    kept = packed([config], folder)
    (member,) = kept.members
    member.config = replace(config, data=replace(config.data, eval_batch_size=size))
    device = resolve_device(config.trainer)
    found = fit.test(
        member, device.hold(test_fit.load_splits(config.data)), member.progress.task, device, Interruption()
    )
    return found, member.progress.latest


@pytest.mark.parametrize("overrides", NETWORKS, ids=lambda it: " ".join(it))
def test_evaluated_in_chunks_it_is_the_whole(configs, tmp_path, read, overrides):
    (config,) = configs(*overrides, "trainer.max_steps=40", each=[{"seed": 0}])
    whole, latest = after_test(config, tmp_path, 1000)
    chunks, found = after_test(config, tmp_path, 7)
    assert_same(found["test/loss"], latest["test/loss"])
    assert_same(chunks.scores, whole.scores)
    assert (chunks.outcomes == whole.outcomes).all()
    assert chunks.confusion == whole.confusion
    assert whole.outcomes.mean() == pytest.approx(whole.scores[-1])
    assert sum(map(sum, whole.confusion)) == len(whole.outcomes) == 31


def looped(network: Classifier, task: Task, split: Split) -> Tensor:
    """The mean loss over sequences that are each read alone and cut at their last valid step."""
    losses = []
    for values, target, length in zip(*split.parts, strict=True):
        steps = target[None, :length] if task.targets.of_steps else target[None]
        losses.append(task.loss(network(values[None, :length]), steps))
    return torch.stack(losses).mean()


READOUTS = [("last", False), ("mean", False), ("every", False), ("every", True)]
# A readout knows nothing of the cell: every route with the one that reads all steps, every readout over some routes.
READ = [(*route, "every", True) for route in OF_CPU]
READ += [(cell, "auto", *readout) for cell in ("gru", "lstm", "min_gru") for readout in READOUTS]


@pytest.mark.parametrize(("cell", "kernel", "readout", "of_steps"), READ)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_losses_and_gradients_are_those_of_a_loop_over_sequences(cell, kernel, bidirectional, readout, of_steps):
    model = ModelConfig(
        cell=cell, hidden_size=4, num_layers=2, bidirectional=bidirectional, kernel=kernel, readout=readout,
        frontend="linear", frontend_size=4,
    )  # fmt: skip
    network = build_classifier(model, FEATURES, CLASSES, seed=0).double()
    split = drawn(7, seed=0, padding=1e30).to(torch.device("cpu"), torch.float64)
    if of_steps:
        generator = torch.Generator().manual_seed(1)
        asked = torch.randint(-1, CLASSES, (7, LONGEST), generator=generator)
        asked[:, 0] = 0
        split = replace(split, targets=asked)
    task: Task = task_of("auto", readout, Targets(of_steps=of_steps))
    sequences, targets, lengths = split.parts
    found, wanted = task.loss(network(sequences, lengths), targets, lengths), looped(network, task, split)
    trained = list(network.parameters())
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        torch.autograd.grad(found, trained), torch.autograd.grad(wanted, trained), rtol=1e-11, atol=1e-12
    )


@pytest.mark.slow
@pytest.mark.parametrize(("asked", "readout"), [("numbers", "last"), ("numbers", "mean"), ("steps", "every")])
@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_other_things_are_asked_of_packs_as_of_trials_alone(configs, tmp_path, read, asked, readout, cell):
    read(asked=asked, padding=float("nan"))
    chosen = configs(f"model={cell}", f"model.readout={readout}", "trainer.max_steps=60", each=DIFFERENT)
    kept = packed(chosen, tmp_path)
    assert kept.errors == dict.fromkeys(range(3))
    for place, config in enumerate(chosen):
        wanted, points = alone(config, tmp_path)
        assert_same(kept.states[place], wanted)
        assert_same(kept.points[place], points)


@pytest.mark.slow
@pytest.mark.parametrize(("asked", "readout"), [("numbers", "last"), ("steps", "every")])
@pytest.mark.parametrize("order", ["shuffled", "by_length"])
def test_other_things_are_tested_in_chunks_as_a_whole_and_learnt(configs, tmp_path, read, asked, readout, order):
    read(asked=asked)
    shared = (
        "model=gru",
        f"data.order={order}",
        "optimizer.lr=0.03",
        "trainer.max_steps=400",
        "trainer.eval_every=100",
    )
    (config,) = configs(*shared, f"model.readout={readout}", each=[{"seed": 0}])
    whole, latest = after_test(config, tmp_path, 1000)
    chunks, found = after_test(config, tmp_path, 7)
    assert_same(found["test/loss"], latest["test/loss"])
    assert_same(chunks.scores, whole.scores)
    assert whole.outcomes.mean() == pytest.approx(whole.scores[-1])
    if asked == "numbers":
        assert latest["test/r2"] > 0.5
        assert latest["test/mse"] == pytest.approx(whole.scores[-1])
        assert found["test/mae"] == pytest.approx(latest["test/mae"])
        assert whole.confusion is None
    else:
        assert latest["test/acc"] > 0.6
        assert sum(map(sum, whole.confusion)) == (read(asked=asked).test.targets >= 0).sum()
