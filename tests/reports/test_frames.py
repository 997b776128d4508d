"""The results of a sweep as pandas frames."""

import subprocess
import sys

import pytest

from recurrent_cells import curves, trials, verdict
from recurrent_cells.errors import UserError
from recurrent_cells.reports.compose import compose
from recurrent_cells.reports.document import Text
from recurrent_cells.sweeps.results import read_sweeps
from recurrent_cells.tracking.store import open_store
from tests.served import mlflow_app, served
from tests.written_sweeps import Made

__all__ = ["mlflow_app", "served"]

ACCURACIES = {"gru": (0.95, 0.96, 0.97), "lstm": (0.90, 0.92, 0.91)}


def two_cells(**more):
    return [
        Made(cell, seed, accuracy, **more) for cell, found in ACCURACIES.items() for seed, accuracy in enumerate(found)
    ]


def test_a_trial_is_a_row_of_identity_config_metrics_and_tags(store, make_sweep):
    made = two_cells(params={"optimizer.lr": "0.01", "trainer.tf32": "True", "data.root": "None", "data.name": "42"})
    make_sweep(*made, Made("gru", 9, state="missing"), Made("gru", 8, state="FAILED"))
    found = trials()
    assert list(found["name"]) == [f"{it.cell}-h8x1-s{it.seed}" for it in made] + ["gru-h8x1-s9", "gru-h8x1-s8"]
    assert list(found["status"]) == ["finished"] * 6 + ["missing", "failed"]
    first = found.iloc[0]
    assert (first["seed"], first["optimizer.lr"], first["n_params"], first["seconds"]) == (0, 0.01, 3000, 12.5)
    assert first["trainer.tf32"] is True
    assert first["data.name"] == "42"  # a name stays a name
    assert (first["cell"], first["fingerprint"], first["data.digest"]) == ("gru", made[0].fingerprint, "d1")
    assert first["test/acc"] == 0.95
    assert found["data.root"].isna().all()
    assert found["run_id"].isna().sum() == 1
    assert first["run_id"] in {run.info.run_id for run in store.client.search_runs([store.experiment_id])}


def test_curves_are_points_in_the_long_format(store, make_sweep):
    make_sweep(Made("gru", 0), Made("lstm", 0), Made("lstm", 1, state="missing"))
    found = curves()
    assert list(found.columns) == ["run_id", "name", "metric", "step", "value"]
    accuracies = found[(found["name"] == "gru-h8x1-s0") & (found["metric"] == "val/acc")]
    assert accuracies[["step", "value"]].to_numpy().tolist() == [[10, 0.5], [20, 0.8], [30, 0.9]]
    assert set(found["metric"]) == {"val/acc", "val/loss"}
    assert set(curves(metrics=["epoch"])["metric"]) == set(curves(metrics="epoch")["metric"]) == {"epoch"}
    assert curves(metrics="no/such").empty
    assert len(found) == 2 * 2 * 3


def test_the_verdict_has_the_numbers_and_sentences_of_the_report(store, make_sweep):
    sweep = make_sweep(*two_cells())
    found = verdict(sweep[:8])
    assert len(found) == 1
    pair = found.iloc[0]
    assert (pair["better"], pair["worse"], pair["seeds_better"], pair["seeds_worse"]) == ("GRU", "LSTM", 3, 3)
    assert pair["difference"] == pytest.approx(0.05)
    report = compose(*read_sweeps(open_store("recurrent-cells"), sweep))
    assert pair["conclusion"] in [block.text for block in report.blocks if isinstance(block, Text)]
    assert f"{100 * pair['difference']:.1f} ± {100 * pair['half_interval']:.1f} points" in pair["conclusion"]


def test_a_margin_and_another_metric_are_those_of_the_report(store, make_sweep):
    make_sweep(*(Made(cell, seed, 0.9 + 0.01 * seed) for cell in ("gru", "lstm") for seed in range(3)))
    assert "not told apart" in verdict(metric="val/best_acc").iloc[0]["conclusion"]
    assert "equal within 20 points" in verdict(metric="val/best_acc", margin=20).iloc[0]["conclusion"]
    with pytest.raises(UserError, match="no/such"):
        verdict(metric="no/such")


def test_nothing_is_concluded_where_nothing_is_finished(store, make_sweep):
    make_sweep(Made("gru", 0, state="FAILED"))
    assert verdict().empty
    assert list(trials()["status"]) == ["failed"]


def test_an_experiment_has_the_trials_of_all_its_sweeps(store, make_sweep):
    make_sweep(Made("gru", 0), name="one")
    make_sweep(Made("lstm", 0), Made("gru", 1, pruned=True), name="another")
    assert list(trials()["cell"]) == ["lstm", "gru"]
    assert sorted(trials("recurrent-cells")["status"]) == ["finished", "finished", "pruned"]
    assert set(curves("recurrent-cells")["name"]) == {"gru-h8x1-s0", "gru-h8x1-s1", "lstm-h8x1-s0"}
    assert list(verdict("recurrent-cells")["seeds_better"]) == [1]


def test_what_there_is_not_is_refused(store, make_sweep):
    make_sweep(Made("gru", 0))
    with pytest.raises(UserError, match="sweep=no-such: no such sweep"):
        trials("no-such")


def test_a_server_gives_the_same_frames(store, served, make_sweep, monkeypatch):
    make_sweep(*two_cells())
    from_database = [trials(), curves(), verdict()]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", served.uri)
    for own, other in zip(from_database, [trials(), curves(), verdict()], strict=True):
        assert own.equals(other)


def test_importing_the_package_imports_neither_pandas_nor_mlflow():
    code = "import sys, recurrent_cells; print({'pandas', 'mlflow', 'torch', 'numpy'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "set()\n"


def test_no_function_hides_a_room_of_the_package():
    import recurrent_cells.trial

    assert recurrent_cells.trial.__name__ == "recurrent_cells.trial"
    with pytest.raises(AttributeError, match="nothing"):
        recurrent_cells.nothing  # noqa: B018
