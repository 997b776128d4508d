"""Histories as they were logged, and curves of several seeds on one axis."""

import numpy as np
from mlflow.entities import Metric

from recurrent_cells.reports.curves import EPOCH, SECONDS, STEP, band
from recurrent_cells.tracking.histories import History, read_histories
from tests.written_sweeps import Made


def history(steps, values):
    return History(np.array(steps, dtype=float), np.array(values, dtype=float))


def test_histories_are_what_was_logged(store, make_sweep):
    make_sweep(Made("gru", 0), Made("gru", 1))
    runs = [run.info.run_id for run in store.client.search_runs([store.experiment_id], "params.seed = '0'")]
    found = read_histories(store, runs, ["val/acc", "no/such"])
    assert list(found) == runs
    assert list(found[runs[0]]) == ["val/acc"]
    assert found[runs[0]]["val/acc"].steps.tolist() == [10, 20, 30]
    assert found[runs[0]]["val/acc"].values.tolist() == [0.5, 0.8, 0.9]


def test_the_last_of_points_at_one_step_counts_and_nan_is_kept(store):
    run_id = store.client.create_run(store.experiment_id).info.run_id
    points = [(5, 200, 0.7), (5, 100, 0.1), (9, 300, float("nan")), (12, 400, float("inf"))]
    metrics = [Metric("val/acc", value, timestamp, step) for step, timestamp, value in points]
    store.client.log_batch(run_id, metrics=metrics)
    found = read_histories(store, [run_id], ["val/acc"])[run_id]["val/acc"]
    assert found.steps.tolist() == [5, 9, 12]
    np.testing.assert_array_equal(found.values, [0.7, np.nan, np.nan])


def test_a_band_has_mean_and_range():
    histories = {"a": {"val/acc": history([1, 2], [0.2, 0.4])}, "b": {"val/acc": history([1, 2], [0.4, 0.8])}}
    found = band(histories, ["a", "b"], "val/acc", STEP)
    assert found is not None
    assert found.x.tolist() == [1, 2]
    np.testing.assert_allclose([found.mean, found.low, found.high], [[0.3, 0.6], [0.2, 0.4], [0.4, 0.8]])


def test_a_band_ends_where_the_first_curve_does():
    histories = {"a": {"val/acc": history([1, 2, 3], [0, 1, 2])}, "b": {"val/acc": history([2, 4], [0, 2])}}
    found = band(histories, ["a", "b"], "val/acc", STEP)
    assert found is not None
    assert found.x.tolist() == [2, 3]
    assert found.mean.tolist() == [0.5, 1.5]


def test_epochs_and_seconds_along_the_steps():
    own = {
        "val/loss": history([5, 10, 20], [3, 2, 1]),
        "epoch": history([5, 10, 20], [0.5, 1, 2]),
        "epoch_seconds": history([5, 10, 20], [8, 8, 6]),  # seconds an epoch would take
    }
    by_epoch, by_second = (band({"a": own}, ["a"], "val/loss", axis) for axis in (EPOCH, SECONDS))
    assert by_epoch is not None
    assert by_second is not None
    assert by_epoch.x.tolist() == [0.5, 1, 2]
    assert by_second.x.tolist() == [4, 8, 14]


def test_no_curves_no_band():
    assert band({}, ["a"], "val/loss", STEP) is None
    assert band({"a": {"val/loss": history([1], [1])}}, ["a"], "val/loss", SECONDS) is None
    apart = {"a": {"val/loss": history([1], [1])}, "b": {"val/loss": history([2], [1])}}
    assert band(apart, ["a", "b"], "val/loss", STEP) is None
