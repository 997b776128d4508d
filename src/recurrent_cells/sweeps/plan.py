"""From the points of a grid to trials: fingerprinted, counted, and checked against data and device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from recurrent_cells.config.schema import Config
from recurrent_cells.data.splits import load_splits
from recurrent_cells.errors import UserError
from recurrent_cells.sweeps.grid import Point, raise_together
from recurrent_cells.tracking.queries import Earlier, TrialRecord
from recurrent_cells.training.schedule import Schedule
from recurrent_cells.trial.check import check_trial
from recurrent_cells.trial.fingerprint import block, fingerprint, shape
from recurrent_cells.trial.match import matched
from recurrent_cells.trial.spec import run_name


@dataclass(frozen=True, eq=False)
class Trial:
    """A planned trial: the overrides that make its config and what they come to.

    Args:
        varied: the value of each key that has several in the sweep.
        shape: equal for trials of about equal cost.
        configuration: what the trials share that differ in nothing but the seed; 16 hexadecimal digits.
        block: what the trials share that are compared with one another; 16 hexadecimal digits.
        steps: the budget of optimiser steps.
        work: grows with the time that training takes.
    """

    overrides: tuple[str, ...]
    varied: Mapping[str, str]
    config: Config
    name: str
    fingerprint: str
    shape: str
    n_params: int
    configuration: str = ""
    block: str = ""
    steps: int = 0
    work: int = 0

    def below(self, parent: str, earlier: Earlier, **judge: Any) -> "Trial":
        """The trial as a part of a sweep.

        Args:
            parent: the run of the sweep.
            earlier: runs that do not count, by fingerprint.
            judge: by which the trial finds its judge: `study` and `number`.
        """
        runs = list(earlier.get(self.fingerprint, ()))
        place: dict[str, Any] = {"parent": parent, "earlier": runs} | judge
        config = replace(self.config, sweep=replace(self.config.sweep, **place))
        texts = place | {"earlier": f"[{','.join(map(repr, runs))}]"}  # quoted: an id may look like a number
        overrides = (*self.overrides, *(f"sweep.{key}={text}" for key, text in texts.items()))
        return replace(self, overrides=overrides, config=config)

    def with_seed(self, seed: int) -> "Trial":
        """The planned trial of the same configuration with another seed."""
        others = (override for override in self.overrides if not override.startswith("seed="))
        varied = dict(self.varied) | {"seed": str(seed)}
        return plan_trial(Point((*others, f"seed={seed}"), varied, replace(self.config, seed=seed)))

    @property
    def label(self) -> str:
        """What tells the trial from the others of its sweep."""
        return " ".join(f"{key}={value}" for key, value in self.varied.items()) or self.name


def plan_trials(points: Sequence[Point]) -> list[Trial]:
    """The trials of a sweep, each once.

    Raises:
        UserError: with the faults of all trials together.
    """
    trials: dict[str, Trial] = {}
    faults: list[str] = []
    for point in points:
        try:
            trial = plan_trial(point)
            trials.setdefault(trial.fingerprint, trial)
        except UserError as error:
            faults.append(str(error))
    raise_together(faults)
    if not trials:
        raise UserError("the sweep has no trials: a range or a list of choices is empty")
    return list(trials.values())


def shortened(trials: Sequence[Trial]) -> str:
    """Which recipes of a sweep do not train their published budget, in words; empty if all do."""
    epochs = {
        trial.config.recipe or trial.name: trial.config.trainer.short_epochs
        for trial in trials
        if trial.config.is_shortened
    }
    if not epochs:
        return ""
    short = ", ".join(f"{name} ({count} epochs)" for name, count in epochs.items())
    return f"shorter than published: {short}; full=true trains the whole budget"


def plan_trial(point: Point) -> Trial:
    """The trial of a point; raises UserError if it cannot start."""
    if point.config.reproduce is not None:
        raise UserError(f"reproduce={point.config.reproduce}: one trial at a time, without -m")
    config, overrides = matched(point.config), point.overrides
    if config is not point.config:
        overrides = (*overrides, f"model.hidden_size={config.model.hidden_size}", "model.match=null")
    n_params, splits = check_trial(config), load_splits(config.data)
    steps = Schedule.from_config(config.trainer, len(splits.train), config.data.batch_size).total_steps
    return Trial(
        overrides=overrides,
        varied=point.varied,
        config=config,
        name=run_name(config),
        fingerprint=fingerprint(config, splits.digest),
        configuration=fingerprint(replace(config, seed=0), splits.digest),
        block=block(config, splits.digest),
        shape=shape(config, splits.digest),
        n_params=n_params,
        steps=steps,
        work=n_params * steps * config.data.batch_size * splits.num_steps,
    )


def unfinished(trials: Sequence[Trial], records: Mapping[str, TrialRecord]) -> list[Trial]:
    """The trials without a FINISHED run."""
    return [trial for trial in trials if not has_status(records, trial, "FINISHED")]


def to_run(trials: Sequence[Trial], records: Mapping[str, TrialRecord], rerun: str) -> list[Trial]:
    """Of the trials without a FINISHED run among those that count: `missing` leaves out those that were stopped,
    `stopped` and `all` take them too, `failed` takes those whose last run is FAILED."""
    left = unfinished(trials, records)
    if rerun == "failed":
        return [trial for trial in left if has_status(records, trial, "FAILED")]
    return [trial for trial in left if not is_stopped(records, trial)] if rerun == "missing" else left


def is_stopped(records: Mapping[str, TrialRecord], trial: Trial) -> bool:
    """Whether the trial ended because a tag asked for it."""
    record = records.get(trial.fingerprint)
    return record is not None and record.stopped


def has_status(records: Mapping[str, TrialRecord], trial: Trial, status: str) -> bool:
    record = records.get(trial.fingerprint)
    return record is not None and record.status == status
