"""What a watcher is told of the comparison while a sweep runs."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from recurrent_cells.config.schema import Config
from recurrent_cells.statistics.comparisons import ALPHA, compare
from recurrent_cells.statistics.looks import spent
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.sweeps.standings import Standings
from recurrent_cells.trial.outcome import Outcome


def planned(seeds=5, cells=("lstm", "gru"), **varied):
    """Trials of each cell, seed by seed."""
    config = Config()
    return [
        Trial(
            (),
            {"model": cell, **varied, "seed": str(seed)},
            replace(config, model=replace(config.model, cell=cell), seed=seed),
            *(f"{cell}{varied}{seed}", f"{cell}{varied}{seed}", "", 1),
            configuration=f"{cell}{varied}",
        )
        for seed in range(seeds)
        for cell in cells
    ]


def finished(value, validation=0.5):
    return Outcome("finished", {"val/acc": validation, "test/acc": value})


def record(value):
    return SimpleNamespace(status="FINISHED", rank=(0, 0.5), test=value)


def lines(trials, values, records=()):
    standings = Standings(trials, dict(records))
    return [standings.ended(trial, finished(value)) for trial, value in zip(trials, values, strict=False)]


def test_each_seed_that_all_have_is_told_but_the_last_which_has_the_verdict():
    trials = planned(seeds=4)
    said = lines(trials, [0.9, 0.8, 0.91, 0.82, 0.93, 0.80, 0.9, 0.8])
    assert [place for place, line in enumerate(said) if line] == [3, 5]
    assert said[3].startswith("2 seeds of each, test acc in points: lstm ahead of gru by 9.5 ± ")
    assert "no verdict yet" in said[3]


def test_its_interval_is_that_of_a_look_and_says_how_far_it_is_from_0():
    trials, values = planned(), [0.9, 0.8, 0.91, 0.82, 0.93, 0.80]
    line = lines(trials, values)[-1]
    (pair,) = compare({"lstm": values[::2], "gru": values[1::2]}, alpha=spent(3) - spent(2))
    half, share = re.search(r"± (\S+) \((\d+) % of the way", line).groups()
    assert float(half) == pytest.approx(100 * pair.half, rel=0.05)
    assert float(share) == pytest.approx(100 * pair.difference / pair.half, abs=0.5)


def test_a_sweep_that_goes_on_counts_what_was_finished_before():
    trials = planned()
    records = {trial.fingerprint: record(0.9 + seed / 100) for seed, trial in enumerate(trials[:4])}
    said = lines(trials[4:6], [0.9, 0.8])
    assert said == ["", ""]
    standings = Standings(trials, records)
    assert [standings.ended(trial, finished(0.9))[:7] for trial in trials[4:6]] == ["", "3 seeds"]


def test_failed_trials_and_several_data_blocks_tell_nothing():
    trials = planned()
    standings = Standings(trials, {})
    assert not any(standings.ended(trial, Outcome("failed")) for trial in trials)
    apart = [replace(trial, block=trial.config.model.cell) for trial in trials]
    assert not any(lines(apart, [0.9, 0.8] * 5))


def test_of_many_settings_the_best_of_each_cell_by_validation_is_told():
    trials = [trial for rate in ("0.1", "0.2", "0.3") for trial in planned(seeds=3, **{"optimizer.lr": rate})]
    standings = Standings(trials, {})
    validation = {"0.1": 0.5, "0.2": 0.7, "0.3": 0.6}
    ordered = sorted(trials, key=lambda trial: trial.config.seed)
    said = [
        standings.ended(trial, finished(0.9 + place / 1000, validation[trial.varied["optimizer.lr"]]))
        for place, trial in enumerate(ordered)
    ]
    (line,) = [line for line in said if line]
    assert "gru 0.2 ahead of lstm 0.2" in line


def test_whoever_stops_at_the_first_line_that_excludes_0_is_rarely_wrong():
    random, wrong = np.random.default_rng(0), 0
    for _ in range(300):
        said = lines(planned(seeds=9), random.normal(0.5, 0.1, size=18))
        wrong += any(int(share) > 100 for line in said for share in re.findall(r"(\d+) % of what", line))
    assert wrong / 300 < ALPHA
