"""Saved views of MLflow's UI, so that its columns and charts compare cells without being arranged by hand."""

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

TAG = "mlflow.sharedViewState."
CHARTS, SEEDS, TRIALS = "cells", "seeds", "trials"
SECTION = "comparison"
COLUMNS = (
    "tags.`cell`",
    "params.`model.hidden_size`",
    "params.`model.num_layers`",
    "params.`optimizer.lr`",
    "params.`seed`",
    "params.`n_params`",
    "metrics.`val/best_acc`",
    "metrics.`test/acc`",
    "metrics.`test/loss`",
    "tags.`seconds`",
)
LINES = ("val/acc", "val/loss", "train/acc", "train/loss")
BARS = ("test/acc",)


def view_tags() -> dict[str, str]:
    """Tags of an experiment that make three views in the UI: curves by cell, those of each seed, and all trials.

    MLflow gives groups colours of its own choice; the curves of single trials have those of their cells.
    """
    by_cell = {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": "cell"}]}
    curves = [_chart(metric, "LINE") for metric in LINES] + [_chart(metric, "BAR") for metric in BARS]
    section = {"uuid": SECTION, "name": "Cells", "display": True, "isGenerated": False}
    drawn = {"compareRunCharts": curves, "compareRunSections": [section]}
    return {
        f"{TAG}{CHARTS}": _view("Cells: means over seeds", {"groupBy": by_cell, **drawn}),
        f"{TAG}{SEEDS}": _view("Seeds, in the colours of the cells", {**drawn, "orderByKey": "tags.`cell`"}),
        f"{TAG}{TRIALS}": _view("Trials", {"orderByKey": "metrics.`val/best_acc`"}),
    }


def page(experiment_id: str, view: str) -> str:
    """The place of a view in the UI, without the server's address."""
    mode = "TABLE" if view == TRIALS else "CHART"
    query = f"workflowType=machine_learning&compareRunsMode={mode}&viewStateShareKey={view}"
    return f"/#/experiments/{experiment_id}/runs?{query}"


def _view(name: str, state: Mapping[str, Any]) -> str:
    whole = {
        "searchFilter": "tags.cell != ''",  # without the parents of sweeps
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": COLUMNS,
        "runsHiddenMode": "SHOWALL",
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        **state,
    }
    packed = base64.b64encode(zlib.compress(json.dumps(whole).encode())).decode()
    return json.dumps({"name": name, "createdAt": 0, "updatedAt": 0, "state": f"deflate;{packed}"})


def _chart(metric: str, kind: str) -> dict[str, Any]:
    return {
        "uuid": f"{kind}-{metric}",
        "type": kind,
        "metricKey": metric,
        "displayName": metric,
        "metricSectionId": SECTION,
        "runsCountToCompare": 100,
        "isGenerated": False,
        "deleted": False,
        "lineSmoothness": 0,
        "scaleType": "log" if metric.endswith("loss") else "linear",
        "xAxisScaleType": "linear",
        "xAxisKey": "step",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "range": {},
    }
