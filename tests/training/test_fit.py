"""A trial in a pack is the trial it is alone."""

import math
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from recurrent_cells.config.schema import Config
from recurrent_cells.data.splits import load_splits
from recurrent_cells.errors import Interrupted, Stopped, TrialError
from recurrent_cells.interrupts import Interruption
from recurrent_cells.models import stacked
from recurrent_cells.models.classifier import build_classifier
from recurrent_cells.tables import CELLS, OPTIMIZERS
from recurrent_cells.tasks import Targets, task_of
from recurrent_cells.training import fit, networks, progress
from recurrent_cells.training.device import Device, resolve_device
from recurrent_cells.training.fit import Fit
from recurrent_cells.training.member import Member
from recurrent_cells.training.module import TrialModule
from recurrent_cells.training.optimizers import Optimizer
from recurrent_cells.training.program import Program
from recurrent_cells.training.progress import Progress
from recurrent_cells.training.schedule import Schedule

Points = dict[tuple[str, int], float]
TIMINGS = ("epoch_seconds", "samples_per_second")


@dataclass
class Kept:
    """What became of trials: their last states, errors and points."""

    folder: Path
    errors: dict[int, Exception | None] = field(default_factory=dict)
    points: list[Points] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)

    @property
    def states(self) -> dict[int, dict[str, Any]]:
        """The states of those that did not fail."""
        members = {place: self.members[place] for place in range(len(self.members)) if not self.members[place].error}
        return {place: member.state for place, member in members.items() if member.state is not None}

    def add(self, config: Config, state: dict[str, Any] | None = None) -> Member:
        splits = load_splits(config.data)
        classifier = build_classifier(
            config.model, splits.num_features, splits.num_outputs, config.seed, splits.num_steps
        )
        schedule = Schedule.from_config(config.trainer, len(splits.train), config.data.batch_size)
        points: Points = {}

        def log(metrics: dict[str, float], step: int) -> None:
            points.update({(key, step): value for key, value in metrics.items() if key not in TIMINGS})

        self.points.append(points)
        task = task_of(config.task, config.model.readout, Targets.of(splits.train.targets))
        progress = Progress(config, schedule, task, log)
        run = SimpleNamespace(
            run_id="", folder=self.folder, checkpoint=lambda save: save(self.folder / "state.ckpt"), stop=None
        )
        member = Member(config, classifier, progress, run, state)  # type: ignore[arg-type]
        if state is not None:
            progress.load_state_dict(state)
        self.members.append(member)
        return member

    def end(self, member: Member) -> None:
        place = next(place for place, it in enumerate(self.members) if it is member)
        assert place not in self.errors
        self.errors[place] = member.error

    def train(self, most: int | None = 100, interruption: Interruption | None = None) -> "Kept":
        config = self.members[0].config
        device = resolve_device(config.trainer)
        data = device.hold(load_splits(config.data))
        Fit(data, self.members[0].progress.task, device, interruption or Interruption(), self.end, most)(self.members)
        return self


def packed(configs: list[Config], folder: Path, most: int = 100) -> Kept:
    """Trials trained as one program."""
    kept = Kept(folder)
    for config in configs:
        kept.add(config)
    return kept.train(most)


def alone(config: Config, folder: Path, state: dict[str, Any] | None = None) -> tuple[dict[str, Any], Points]:
    """The last state and the points of a trial trained alone."""
    kept = Kept(folder)
    kept.add(config, state)
    kept.train()
    return kept.states[0], kept.points[0]


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


@pytest.mark.slow
@pytest.mark.parametrize(("num_layers", "dropout"), [(1, False), (3, True)], ids=["1", "3-dropout"])
@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_after_200_steps_each_is_what_it_is_alone(configs, tmp_path, cell, num_layers, dropout):
    each = [one | (rates if dropout else {}) for one, rates in zip(DIFFERENT, RATES, strict=True)]
    chosen = configs(f"model={cell}", f"model.num_layers={num_layers}", each=each)
    kept = packed(chosen, tmp_path)
    for place, config in enumerate(chosen):
        wanted, points = alone(config, tmp_path)
        assert_same(kept.states[place], wanted)
        assert_same(kept.points[place], points)
    assert kept.errors == {0: None, 1: None, 2: None}


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm"])
def test_with_the_masks_of_a_gpu_each_is_what_it_is_alone(configs, tmp_path, monkeypatch, cell):
    monkeypatch.setattr(networks, "is_hashed", lambda device: True)
    monkeypatch.setattr(stacked, "is_hashed", lambda device: True)
    shared = (f"model={cell}", "model.num_layers=3", "optimizer.schedule=none")
    each = [one | rates for one, rates in zip(DIFFERENT[:2], RATES[1:], strict=True)]
    chosen, part = (configs(*shared, f"trainer.max_steps={steps}", each=each) for steps in (120, 40))
    kept = packed(chosen, tmp_path)
    for place, config in enumerate(chosen):
        wanted, points = alone(config, tmp_path)
        assert_same(kept.states[place], wanted)
        assert_same(kept.points[place], points)
        resumed, _ = alone(config, tmp_path, alone(part[place], tmp_path)[0])
        assert_same(resumed, wanted, tolerance=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        ("optimizer=rmsprop", "optimizer.lr=0.003"),
        ("optimizer=sgd", "optimizer.lr=0.1", "model.readout=every"),
        ("optimizer=adamw", "model.block=residual", "model.num_layers=2", "model.dropout=0.3"),
        ("model.readout=flatten", "model.bidirectional=true"),
        ("model.biases=1", "model.bidirectional=true", "trainer.eval_at_start=true", "trainer.log_train=batch"),
        ("model.frontend=conv", "model.frontend_size=2", "model.readout=mean", "trainer.eval_every=30"),
    ],
)
def test_other_optimisers_and_networks(configs, tmp_path, overrides):
    each: list[dict[str, Any]] = [
        {"seed": 3},
        {"seed": 4, "optimizer.weight_decay": 0.1, "optimizer.momentum": 0.5},
        {"seed": 5, "optimizer.weight_decay": 0.2, "optimizer.recurrent_lr_factor": 0.5},
        {"seed": 6, "optimizer.weight_decay": 0.2, "optimizer.decay_recurrent": False},
    ]
    chosen = configs("model=gru", "trainer.max_steps=70", *overrides, each=each)
    kept = packed(chosen, tmp_path)
    for place, config in enumerate(chosen):
        wanted, points = alone(config, tmp_path)
        assert_same(kept.states[place], wanted)
        assert_same(kept.points[place], points)


@pytest.mark.slow
def test_in_float32_curves_agree_within_rounding(configs, tmp_path):
    chosen = configs("model=lstm", "trainer.precision=32-true", "optimizer.lr=0.01", each=[{"seed": 0}, {"seed": 1}])
    kept = packed(chosen, tmp_path)
    for place, config in enumerate(chosen):
        _, points = alone(config, tmp_path)
        assert_same(kept.points[place], points, tolerance=1e-4)


@pytest.mark.slow
def test_one_that_diverges_fails_and_touches_no_other(configs, tmp_path):
    chosen = configs(
        "model=simple_rnn", "optimizer=sgd", each=[{"seed": 0}, {"seed": 1, "optimizer.lr": 1e308}, {"seed": 2}]
    )
    kept = packed(chosen, tmp_path)
    assert str(kept.errors[1]).startswith("the training loss is nan between steps 1 and 20")
    assert 1 not in kept.states
    for place in (0, 2):
        wanted, points = alone(chosen[place], tmp_path)
        assert_same(kept.states[place], wanted)
        assert_same(kept.points[place], points)


@pytest.mark.slow
def test_each_stops_early_by_itself(configs, tmp_path):
    each = [{"seed": seed, "trainer.early_stopping": 1 + seed, "optimizer.lr": 0.05} for seed in range(4)]
    chosen = configs("model=gru", "trainer.eval_every=20", each=each)
    kept = packed(chosen, tmp_path)
    for place, config in enumerate(chosen):
        wanted, points = alone(config, tmp_path)
        assert_same(kept.states[place], wanted)
        assert_same(kept.points[place], points)
    assert len({content["step"] for content in kept.states.values()}) > 1


@pytest.mark.slow
def test_programs_that_are_too_large_go_on_in_halves(configs, tmp_path, monkeypatch):
    """Memory runs out in the middle of a stretch, and in an evaluation."""
    chosen = configs("model=lstm", "trainer.max_steps=100", each=[{"seed": seed} for seed in range(4)])
    take_step, evaluate, sizes = Program._take_step, TrialModule.validation_step, []

    def short_of_memory(self: Program, step: int, *rest: Any) -> Any:
        sizes.append(len(self.members))
        if len(self.members) == 4 and step == 53:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return take_step(self, step, *rest)

    def short_again(self: TrialModule, *rest: Any) -> None:
        if len(self.program.members) == 2 and self.step == 80:
            raise torch.OutOfMemoryError("CUDA out of memory")
        evaluate(self, *rest)

    monkeypatch.setattr(Program, "_take_step", short_of_memory)
    monkeypatch.setattr(TrialModule, "validation_step", short_again)
    kept = packed(chosen, tmp_path)
    assert kept.errors == dict.fromkeys(range(4))
    assert [sizes.count(size) for size in (4, 2, 1)] == [54, 2 * 27, 4 * 20]  # no step is taken twice
    monkeypatch.undo()
    for place, config in enumerate(chosen):
        wanted, points = alone(config, tmp_path)
        assert_same(kept.states[place], wanted)
        assert_same(kept.points[place], points)


def test_out_of_memory_with_one_trial_fails_it_alone(configs, tmp_path, monkeypatch):
    def none_left(self: Program, *_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Program, "_take_step", none_left)
    kept = packed(configs("model=lstm", each=[{"seed": 0}, {"seed": 1}]), tmp_path)
    assert all("out of memory" in str(error) for error in kept.errors.values())
    assert len(kept.errors) == 2


def test_more_than_a_program_takes_train_in_programs_of_equal_size(configs, tmp_path, monkeypatch):
    sizes, init = [], Program.__init__

    def counting(self: Program, members: list[Member], *rest: Any) -> None:
        sizes.append(len(members))
        init(self, members, *rest)

    monkeypatch.setattr(Program, "__init__", counting)
    kept = packed(configs("trainer.max_steps=10", each=[{"seed": seed} for seed in range(5)]), tmp_path, most=4)
    assert sizes == [3, 2]
    assert len(kept.states) == 5


def test_a_trial_that_has_nothing_left_to_train_is_ended_at_once(configs, tmp_path):
    (config,) = configs("trainer.max_steps=10", each=[{"seed": 0}])
    state, _ = alone(config, tmp_path)
    again = Kept(tmp_path)
    again.add(config, state)
    again.train()
    assert again.errors == {0: None}
    assert again.points == [{}]


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS.names)
def test_a_signal_saves_all_and_members_go_on_from_different_steps(configs, tmp_path, cell):
    shared = (f"model={cell}", "model.hidden_size=8", "trainer.max_steps=90")
    chosen = configs(*shared, each=[one | {"model.output_dropout": 0.2} for one in DIFFERENT])
    interruption, kept = Interruption(), Kept(tmp_path)
    first = [kept.add(config) for config in chosen[:2]]
    log = first[0].progress._log_metrics

    def log_and_interrupt(metrics: dict[str, float], step: int) -> None:
        log(metrics, step)
        if step == 60:
            interruption.signum = signal.SIGTERM

    first[0].progress._log_metrics = log_and_interrupt
    with pytest.raises(Interrupted):
        kept.train(interruption=interruption)
    assert {content["step"] for content in kept.states.values()} == {60}

    again = Kept(tmp_path)
    for place, config in enumerate(chosen):
        again.add(config, kept.states.get(place))
        if place in kept.states:
            again.points[place] |= kept.points[place]
    again.train()
    for place, config in enumerate(chosen):
        wanted, points = alone(config, tmp_path)
        assert_same(again.states[place], wanted)
        assert_same(again.points[place], points)


def assert_goes_on_as_alone(kept: Kept, chosen: Sequence[Config], folder: Path) -> None:
    """The first member, stopped and trained on, and those that were not stopped, are each what they are alone."""
    again = Kept(folder)
    again.add(chosen[0], kept.members[0].state)
    again.points[0] |= kept.points[0]
    again.train()
    for place, found in enumerate([again, *[kept] * (len(chosen) - 1)]):
        wanted, points = alone(chosen[place], folder)
        assert_same(found.states[place], wanted)
        assert_same(found.points[place], points)


@pytest.mark.slow
@pytest.mark.parametrize("at", [20, 30, 60])  # between evaluations, at one, at that before the last
@pytest.mark.parametrize("count", [1, 3])
def test_a_member_that_is_asked_to_stop_ends_at_once_and_goes_on_later(configs, tmp_path, count, at):
    chosen = configs("trainer.max_steps=90", "trainer.eval_every=30", "trainer.log_every=10", each=DIFFERENT[:count])
    kept = Kept(tmp_path)
    first, *_ = [kept.add(config) for config in chosen]
    log = first.progress._log_metrics

    def log_and_ask(metrics: dict[str, float], step: int) -> None:
        log(metrics, step)
        if step == at:
            first.run.stop = Stopped("seen enough")
        if step > at and count > 1:
            assert 0 in kept.errors  # the others went on when it had ended

    for member in kept.members:
        member.progress._log_metrics = log_and_ask if member is first else member.progress._log_metrics
    kept.train()
    assert isinstance(kept.errors[0], Stopped)
    assert str(kept.errors[0]) == "stopped: seen enough"
    assert first.state is not None
    assert first.state["step"] == at
    assert_goes_on_as_alone(kept, chosen, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("stopped", [[2], [3], [2, 3]])
def test_a_member_that_waits_for_its_program_is_asked_to_stop(configs, tmp_path, stopped):
    each = [{"seed": seed} for seed in range(4)]
    chosen = configs("trainer.max_steps=60", "trainer.eval_every=30", "trainer.log_every=10", each=each)
    kept = Kept(tmp_path)
    first, *_ = [kept.add(config) for config in chosen]
    log = first.progress._log_metrics

    def log_and_ask(metrics: dict[str, float], step: int) -> None:
        log(metrics, step)
        for place in stopped:
            assert step == 10 or place in kept.errors
            kept.members[place].run.stop = Stopped("seen enough")

    first.progress._log_metrics = log_and_ask
    kept.train(most=2)
    assert {place: str(error) for place, error in kept.errors.items() if error} == dict.fromkeys(
        stopped, "stopped: seen enough"
    )
    assert set(kept.errors) == set(range(4))
    for place in set(range(4)) - set(stopped):
        wanted, points = alone(chosen[place], tmp_path)
        assert_same(kept.states[place], wanted)
        assert_same(kept.points[place], points)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3])
def test_a_member_that_is_asked_to_stop_takes_no_further_step(configs, tmp_path, count):
    chosen = configs("trainer.max_steps=90", "trainer.eval_every=30", "trainer.log_every=15", each=DIFFERENT[:count])
    kept = Kept(tmp_path)
    first, *_ = [kept.add(config) for config in chosen]
    take_step = Program._take_step

    def ask(program: Program, step: int, *batch: Any) -> Any:
        if step == 37 and program.members[0] is first:
            first.run.stop = Stopped("seen enough")
        return take_step(program, step, *batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Program, "_take_step", ask)
        kept.train()
    assert first.state is not None
    assert first.state["step"] == 38
    assert_goes_on_as_alone(kept, chosen, tmp_path)


@pytest.fixture
def a_second_a_step(monkeypatch):
    """A clock by which each step takes a second, and each evaluation, start or save none."""
    now, take_step = [0.0], Program._take_step

    def ticking(self: Program, *rest: Any) -> Any:
        now[0] += 1
        return take_step(self, *rest)

    monkeypatch.setattr(Program, "_take_step", ticking)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))


@pytest.mark.parametrize("seconds", [5, 53, 80])  # before the first evaluation, between two, at one
def test_a_trial_whose_time_is_used_ends_as_by_a_budget_of_the_steps_taken(configs, tmp_path, a_second_a_step, seconds):
    plain = "optimizer.schedule=none"
    (timed,) = configs(plain, f"trainer.max_seconds={seconds}", each=[{"seed": 2}])
    (counted,) = configs(plain, f"trainer.max_steps={seconds}", each=[{"seed": 2}])
    found, points = alone(timed, tmp_path)
    wanted, wanted_points = alone(counted, tmp_path)
    assert found.pop("time_used_at") == seconds
    assert wanted.pop("time_used_at") is None
    assert_same(found, wanted, tolerance=0)
    assert points == wanted_points
    assert ("val/acc", seconds) in points
    assert ("train/loss", seconds) in points


def test_time_that_is_not_used_changes_nothing(configs, tmp_path, a_second_a_step):
    (plain,) = configs("optimizer.schedule=none", each=[{}])
    timed = replace(plain, trainer=replace(plain.trainer, max_seconds=900.0))
    assert alone(timed, tmp_path)[1] == alone(plain, tmp_path)[1]


@pytest.mark.parametrize("at", [20, 53])  # under way, and once the time is used
def test_time_before_an_interruption_counts(configs, tmp_path, a_second_a_step, at):
    (config,) = configs("trainer.max_seconds=53", "trainer.log_every=10", "optimizer.schedule=none", each=[{"seed": 2}])
    wanted, wanted_points = alone(config, tmp_path)
    interruption, kept, again = Interruption(), Kept(tmp_path), Kept(tmp_path)
    member = kept.add(config)
    log = member.progress._log_metrics

    def log_and_interrupt(metrics: dict[str, float], step: int) -> None:
        log(metrics, step)
        if step == at:
            interruption.signum = signal.SIGTERM

    member.progress._log_metrics = log_and_interrupt
    with pytest.raises(Interrupted):
        kept.train(interruption=interruption)
    assert kept.states[0]["step"] == at
    again.add(config, kept.states[0])
    again.points[0] |= kept.points[0]
    again.train()
    assert_same(again.states[0], wanted, tolerance=0)
    assert again.points[0] == wanted_points


def test_a_pack_is_as_large_as_memory_allows_where_what_all_share_is_there_once(configs, tmp_path, monkeypatch):
    shared, for_each, free, workspace = 1000, 30, 4000, 500
    taken = {"now": 10_000, "peak": 0, "workspace": 0}

    def program(members, *_):
        def rehearse():
            taken["now"] += workspace - taken["workspace"]  # kept by the libraries from the first time on
            taken["workspace"] = workspace
            taken["peak"] = taken["now"] + shared + for_each * len(members)

        return SimpleNamespace(rehearse=rehearse)

    monkeypatch.setattr(fit, "Program", program)
    for name, value in {
        "memory_allocated": lambda: taken["now"],
        "max_memory_allocated": lambda: taken["peak"],
        "reset_peak_memory_stats": lambda: None,
        "empty_cache": lambda: None,
        "mem_get_info": lambda: (free, 0),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    kept, (config,) = Kept(tmp_path), configs(each=[{}])
    members = [kept.add(config) for _ in range(3)]
    found = Fit(None, None, Device("gpu", "32-true", ""), Interruption(), kept.end)._as_many_as_fit(members)
    assert shared + for_each * found <= fit.USABLE_MEMORY * free < shared + for_each * (found + 1)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
def test_packs_and_trials_alone_go_on_from_each_others_states(configs, tmp_path, optimizer):
    each = [{"seed": 5, "optimizer.clip_norm": 1}, {"seed": 6, "optimizer.weight_decay": 0.1}]
    shared = ("model=lstm", f"optimizer={optimizer}", "trainer.max_steps=80", "optimizer.schedule=none")
    chosen = configs(*shared, "optimizer.lr=0.01", each=each)
    halves = [replace(config, trainer=replace(config.trainer, max_steps=40)) for config in chosen]
    kept, again = packed(halves, tmp_path), Kept(tmp_path)
    wanted = [alone(config, tmp_path)[0] for config in chosen]
    for place, config in enumerate(chosen):
        found, _ = alone(config, tmp_path, kept.states[place])
        assert_same(found, wanted[place])
        again.add(config, alone(halves[place], tmp_path)[0])
    again.train()
    for place in range(2):
        assert_same(again.states[place], wanted[place])


class NAdam(Optimizer):
    """As a user would add it: torch's, in one file."""

    name = "nadam"

    def build(self, settings, parameters):
        betas = (settings.beta1, settings.beta2)
        return torch.optim.NAdam(
            parameters, lr=settings.lr, betas=betas, eps=settings.eps, weight_decay=settings.weight_decay
        )


@pytest.mark.slow
def test_an_optimiser_without_an_update_for_many_trials_trains_packs_too(configs, tmp_path):
    OPTIMIZERS.add(NAdam)
    try:
        each = [
            {"seed": 5, "optimizer.clip_norm": 0.3},
            {"seed": 6, "optimizer.weight_decay": 0.1, "optimizer.lr": 0.02, "optimizer.recurrent_lr_factor": 0.5},
        ]
        made = configs("model=gru", "trainer.max_steps=80", "optimizer.schedule=none", each=each)
        chosen = [replace(config, optimizer=replace(config.optimizer, name="nadam")) for config in made]
        halves = [replace(config, trainer=replace(config.trainer, max_steps=40)) for config in chosen]
        wanted = [alone(config, tmp_path) for config in chosen]
        kept = packed(chosen, tmp_path)
        for place in range(2):
            assert_same(kept.states[place], wanted[place][0])
            assert_same(kept.points[place], wanted[place][1])
        half, again = packed(halves, tmp_path), Kept(tmp_path)
        for place, config in enumerate(chosen):
            assert_same(alone(config, tmp_path, half.states[place])[0], wanted[place][0])
            again.add(config, alone(halves[place], tmp_path)[0])
        again.train()
        for place in range(2):
            assert_same(again.states[place], wanted[place][0])
    finally:
        OPTIMIZERS.clear()


@pytest.mark.parametrize("method", ["__init__", "train"])
def test_an_error_that_no_trial_has_ends_all(configs, tmp_path, monkeypatch, method):
    def fails(*_: object) -> None:
        raise TrialError("the GPU computes nothing any more")

    monkeypatch.setattr(Program, method, fails)
    with pytest.raises(TrialError, match="computes nothing"):
        packed(configs("model=gru", each=[{"seed": 0}, {"seed": 1}]), tmp_path)
