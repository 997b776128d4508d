"""Saved views of MLflow's UI."""

import base64
import json
import zlib

from recurrent_cells.tracking.store import open_store
from recurrent_cells.tracking.views import TAG, page, view_tags


def state(tag):
    packed = json.loads(tag)["state"].removeprefix("deflate;")
    return json.loads(zlib.decompress(base64.b64decode(packed)))


def test_curves_are_grouped_by_cell_and_trials_have_their_columns():
    tags = view_tags()
    cells, trials = state(tags[f"{TAG}cells"]), state(tags[f"{TAG}trials"])
    assert cells["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "cell"}]
    assert {chart["metricKey"] for chart in cells["compareRunCharts"]} >= {"val/acc", "val/loss", "test/acc"}
    assert "metrics.`test/acc`" in trials["selectedColumns"]
    assert page("7", "cells").startswith("/#/experiments/7/runs?")


def test_curves_of_single_trials_which_have_their_colours_are_a_view_too():
    tags = view_tags()
    cells, seeds = state(tags[f"{TAG}cells"]), state(tags[f"{TAG}seeds"])
    assert "groupBy" not in seeds
    assert seeds["compareRunCharts"] == cells["compareRunCharts"]
    assert "compareRunsMode=CHART" in page("7", "seeds")


def test_an_experiment_made_without_them_gets_them_and_the_users_own_stay(store):
    store.client.set_experiment_tag(store.experiment_id, f"{TAG}cells", "mine")
    store.client.delete_experiment_tag(store.experiment_id, f"{TAG}trials")
    open_store(store.experiment)
    tags = store.client.get_experiment(store.experiment_id).tags
    assert tags[f"{TAG}cells"] == "mine"
    assert f"{TAG}trials" in tags
