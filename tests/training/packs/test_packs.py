"""A trial in a pack is the trial it is alone."""

import math
import signal
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.loggers.logger import DummyLogger

from recurrent_cells.config.schema import Config
from recurrent_cells.data.splits import load_splits
from recurrent_cells.errors import Interrupted
from recurrent_cells.interrupts import Interruption
from recurrent_cells.models.classifier import build_classifier
from recurrent_cells.training import state
from recurrent_cells.training.datamodule import SequenceDataModule
from recurrent_cells.training.device import resolve_device
from recurrent_cells.training.module import TrialModule
from recurrent_cells.training.packs.fit import PackFit
from recurrent_cells.training.packs.pack import Member, Pack
from recurrent_cells.training.progress import Progress
from recurrent_cells.training.schedule import Schedule
from recurrent_cells.training.trainer import build_trainer

Points = dict[tuple[str, int], float]
TIMINGS = ("epoch_seconds", "samples_per_second")


class Recorder(DummyLogger):
    """Keeps the points that Lightning would log."""

    def __init__(self) -> None:
        super().__init__()
        self.points: Points = {}

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.points |= {(key, step): value for key, value in metrics.items() if key not in TIMINGS}


@dataclass
class Files:
    """Stands for a run: has its folders, keeps its states in a file."""

    folder: Path

    def checkpoint(self, save: Any) -> None:
        save(self.folder / "state.ckpt")


def alone(config: Config, folder: Path) -> tuple[dict[str, Any], Points]:
    """The last state and the points of a trial trained alone."""
    splits = load_splits(config.data)
    classifier = build_classifier(config.model, splits.num_features, splits.num_classes, config.seed)
    schedule = Schedule.from_config(config.trainer, len(splits.train), config.data.batch_size)
    module, recorder = TrialModule(config, classifier, schedule), Recorder()
    trainer = build_trainer(config.trainer, resolve_device(config.trainer), Files(folder), recorder, Interruption())
    if config.trainer.eval_at_start:
        trainer.validate(module, datamodule=SequenceDataModule(config, splits), verbose=False)
    trainer.fit(module, datamodule=SequenceDataModule(config, splits))
    return state.load(folder / "state.ckpt"), recorder.points


@dataclass
class Kept:
    """What became of the members of packs: their states, errors and points."""

    states: dict[int, dict[str, Any]] = field(default_factory=dict)
    errors: dict[int, Exception | None] = field(default_factory=dict)
    points: list[Points] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)

    def add(self, config: Config) -> Member:
        splits = load_splits(config.data)
        classifier = build_classifier(config.model, splits.num_features, splits.num_classes, config.seed)
        schedule = Schedule.from_config(config.trainer, len(splits.train), config.data.batch_size)
        points: Points = {}

        def log(metrics: dict[str, float], step: int) -> None:
            points.update({(key, step): value for key, value in metrics.items() if key not in TIMINGS})

        self.points.append(points)
        self.members.append(Member(config, classifier, Progress(config, schedule, log)))
        return self.members[-1]

    def place(self, member: Member) -> int:
        return next(place for place, it in enumerate(self.members) if it is member)

    def keep(self, member: Member, content: dict[str, Any]) -> None:
        self.states[self.place(member)] = content

    def evaluated(self, member: Member) -> None:
        pass

    def end(self, member: Member, error: Exception | None) -> None:
        assert self.place(member) not in self.errors
        self.errors[self.place(member)] = error


def packed(configs: list[Config], most: int = 100, interruption: Interruption | None = None) -> Kept:
    kept = Kept()
    members = [kept.add(config) for config in configs]
    fit = PackFit(
        load_splits(configs[0].data), resolve_device(configs[0].trainer), kept, interruption or Interruption(), most
    )
    fit(members)
    return kept


def assert_same(found: Any, wanted: Any, tolerance: float = 1e-9, path: str = "") -> None:
    """Two states are the same but for rounding and seconds."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys(), path
        for key in wanted:
            if key != "seconds":
                assert_same(found[key], wanted[key], tolerance, f"{path}.{key}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), path
        for index, (one, other) in enumerate(zip(found, wanted, strict=True)):
            assert_same(one, other, tolerance, f"{path}[{index}]")
    elif isinstance(wanted, torch.Tensor):
        assert found.dtype == wanted.dtype, path
        torch.testing.assert_close(found, wanted, rtol=0, atol=tolerance, msg=lambda it: f"{path}: {it}")
    elif isinstance(wanted, float):
        assert math.isclose(found, wanted, rel_tol=0, abs_tol=max(tolerance, tolerance * abs(wanted))), path
    else:
        assert found == wanted, path


# Of three members: everything that a pack keeps for each.
DIFFERENT = [
    {"seed": 0, "optimizer.lr": 0.01, "optimizer.clip_norm": 0.3, "model.init": "keras"},
    {"seed": 1, "optimizer.lr": 0.003, "optimizer.beta1": 0.8, "optimizer.weight_decay": 0.01, "data.order": "file"},
    {"seed": 7, "optimizer.lr": 0.02, "optimizer.clip_norm": 1, "optimizer.schedule": "cosine"},
]
RATES = [{"model.dropout": 0.4}, {"model.output_dropout": 0.3}, {"model.dropout": 0.1, "model.output_dropout": 0.5}]


@pytest.mark.parametrize("dropout", [False, True], ids=["", "dropout"])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_after_200_steps_each_is_what_it_is_alone(configs, tmp_path, cell, num_layers, dropout):
    each = [one | (rates if dropout else {}) for one, rates in zip(DIFFERENT, RATES, strict=True)]
    if num_layers == 1:
        each = [{key: value for key, value in one.items() if key != "model.dropout"} for one in each]
    chosen = configs(f"model={cell}", f"model.num_layers={num_layers}", each=each)
    kept = packed(chosen)
    for place, config in enumerate(chosen):
        wanted, points = alone(config, tmp_path)
        assert_same(kept.states[place], wanted)
        assert_same(kept.points[place], points)
    assert kept.errors == {0: None, 1: None, 2: None}


@pytest.mark.parametrize(
    "overrides",
    [
        ("optimizer=rmsprop", "optimizer.lr=0.003"),
        ("optimizer=sgd", "optimizer.lr=0.1", "model.readout=every"),
        ("model.biases=1", "model.bidirectional=true", "trainer.eval_at_start=true", "trainer.log_train=batch"),
        ("model.frontend=conv", "model.frontend_size=2", "model.readout=mean", "trainer.eval_every=30"),
    ],
)
def test_other_optimisers_and_networks(configs, tmp_path, overrides):
    each: list[dict[str, Any]] = [{"seed": 3}, {"seed": 4, "optimizer.weight_decay": 0.1, "optimizer.momentum": 0.5}]
    chosen = configs("model=gru", "trainer.max_steps=70", *overrides, each=each)
    kept = packed(chosen)
    for place, config in enumerate(chosen):
        wanted, points = alone(config, tmp_path)
        assert_same(kept.states[place], wanted)
        assert_same(kept.points[place], points)


def test_in_float32_curves_agree_within_rounding(configs, tmp_path):
    chosen = configs("model=lstm", "trainer.precision=32-true", "optimizer.lr=0.01", each=[{"seed": 0}, {"seed": 1}])
    kept = packed(chosen)
    for place, config in enumerate(chosen):
        _, points = alone(config, tmp_path)
        assert_same(kept.points[place], points, tolerance=1e-4)


def test_one_that_diverges_fails_and_touches_no_other(configs, tmp_path):
    chosen = configs(
        "model=simple_rnn", "optimizer=sgd", each=[{"seed": 0}, {"seed": 1, "optimizer.lr": 1e308}, {"seed": 2}]
    )
    kept = packed(chosen)
    assert str(kept.errors[1]).startswith("the training loss is nan between steps 1 and 20")
    assert 1 not in kept.states
    for place in (0, 2):
        wanted, points = alone(chosen[place], tmp_path)
        assert_same(kept.states[place], wanted)
        assert_same(kept.points[place], points)


def test_each_stops_early_by_itself(configs, tmp_path):
    each = [{"seed": seed, "trainer.early_stopping": 1 + seed, "optimizer.lr": 0.05} for seed in range(4)]
    chosen = configs("model=gru", "trainer.eval_every=20", each=each)
    kept = packed(chosen)
    for place, config in enumerate(chosen):
        wanted, points = alone(config, tmp_path)
        assert_same(kept.states[place], wanted)
        assert_same(kept.points[place], points)
    assert len({content["step"] for content in kept.states.values()}) > 1


def test_a_pack_that_is_too_large_goes_on_in_halves(configs, tmp_path, monkeypatch):
    """Memory runs out in the middle of a stretch, and in an evaluation."""
    chosen = configs("model=lstm", "trainer.max_steps=100", each=[{"seed": seed} for seed in range(4)])
    update, evaluate, sizes = Pack._update, Pack.evaluate, []

    def short_of_memory(self: Pack, step: int, *rest: Any) -> Any:
        sizes.append(len(self.members))
        if len(self.members) == 4 and step == 53:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return update(self, step, *rest)

    def short_again(self: Pack) -> Any:
        if len(self.members) == 2 and self.step == 80:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return evaluate(self)

    monkeypatch.setattr(Pack, "_update", short_of_memory)
    monkeypatch.setattr(Pack, "evaluate", short_again)
    kept = packed(chosen)
    assert kept.errors == dict.fromkeys(range(4))
    assert [sizes.count(size) for size in (4, 2, 1)] == [54, 2 * 27, 4 * 20]  # no step is taken twice
    monkeypatch.undo()
    for place, config in enumerate(chosen):
        wanted, points = alone(config, tmp_path)
        assert_same(kept.states[place], wanted)
        assert_same(kept.points[place], points)


def test_out_of_memory_with_one_trial_fails_it_alone(configs, monkeypatch):
    def none_left(self: Pack, *_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Pack, "_update", none_left)
    kept = packed(configs("model=lstm", each=[{"seed": 0}, {"seed": 1}]))
    assert all("out of memory" in str(error) for error in kept.errors.values())
    assert len(kept.errors) == 2


def test_more_than_a_pack_takes_train_in_packs_of_equal_size(configs, monkeypatch):
    sizes, init = [], Pack.__init__

    def counting(self: Pack, members: list[Member], *rest: Any) -> None:
        sizes.append(len(members))
        init(self, members, *rest)

    monkeypatch.setattr(Pack, "__init__", counting)
    kept = packed(configs("trainer.max_steps=10", each=[{"seed": seed} for seed in range(5)]), most=4)
    assert sizes == [3, 2]
    assert len(kept.states) == 5


def test_a_signal_saves_all_and_members_go_on_from_different_steps(configs, tmp_path):
    chosen = configs(
        "model=gru", "trainer.max_steps=90", each=[one | {"model.output_dropout": 0.2} for one in DIFFERENT]
    )
    interruption = Interruption()
    kept = Kept()
    first = [kept.add(config) for config in chosen[:2]]
    log = first[0].progress._log_metrics

    def log_and_interrupt(metrics: dict[str, float], step: int) -> None:
        log(metrics, step)
        if step == 60:
            interruption.signum = signal.SIGTERM

    first[0].progress._log_metrics = log_and_interrupt
    fit = PackFit(load_splits(chosen[0].data), resolve_device(chosen[0].trainer), kept, interruption, 100)
    with pytest.raises(Interrupted):
        fit(first)
    assert {content["step"] for content in kept.states.values()} == {60}

    again = Kept()
    for place, config in enumerate(chosen):
        member = again.add(config)
        if place in kept.states:
            member.state = kept.states[place]
            member.progress.load_state_dict(member.state)
            again.points[place] |= kept.points[place]
    PackFit(load_splits(chosen[0].data), resolve_device(chosen[0].trainer), again, Interruption(), 100)(again.members)
    for place, config in enumerate(chosen):
        wanted, points = alone(config, tmp_path)
        assert_same(again.states[place], wanted)
        assert_same(again.points[place], points)


def test_packs_and_trials_alone_go_on_from_each_others_states(configs, tmp_path):
    each = [{"seed": 5, "optimizer.clip_norm": 1}, {"seed": 6, "optimizer.weight_decay": 0.1}]
    chosen = configs("model=lstm", "trainer.max_steps=80", "optimizer.schedule=none", each=each)
    halves = [replace(config, trainer=replace(config.trainer, max_steps=40)) for config in chosen]
    splits = load_splits(chosen[0].data)
    kept, again = packed(halves), Kept()
    for place, config in enumerate(chosen):
        wanted, _ = alone(config, tmp_path)

        state.save(kept.states[place], tmp_path / "half.ckpt")
        classifier = build_classifier(config.model, splits.num_features, splits.num_classes, config.seed)
        module = TrialModule(config, classifier, again.add(config).progress.schedule)
        module.resume_from(state.load(tmp_path / "half.ckpt"))
        device = resolve_device(config.trainer)
        trainer = build_trainer(config.trainer, device, Files(tmp_path), Recorder(), Interruption())
        trainer.fit(module, datamodule=SequenceDataModule(config, splits))
        assert_same(state.load(tmp_path / "state.ckpt"), wanted)

        again.members[place].state, _ = alone(halves[place], tmp_path)
        again.members[place].progress.load_state_dict(again.members[place].state)
    PackFit(splits, resolve_device(chosen[0].trainer), again, Interruption(), 100)(again.members)
    for place, config in enumerate(chosen):
        assert_same(again.states[place], alone(config, tmp_path)[0])
