"""Much asked of a tracking server at once, where MLflow's client asks run by run and makes an object of every value."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from itertools import count
from typing import Any
from urllib.parse import quote, urlsplit

from mlflow.exceptions import MlflowException
from mlflow.utils.rest_utils import http_request, verify_rest_response
from mlflow.utils.search_utils import SearchUtils

from recurrent_cells.errors import UserError
from recurrent_cells.tracking.store import Store
from recurrent_cells.tracking.tables import Info, Row, database_of

SEARCH = "/api/2.0/mlflow/runs/search"
HISTORIES = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
# Addresses of files that the server itself hands out, and where it does.
SERVED, FILES = "mlflow-artifacts:/", "/api/2.0/mlflow-artifacts/artifacts/"
REQUESTS_AT_ONCE = 4
RUNS_A_PAGE = 100
# Seconds that a busy server has for one of them.
TIMEOUT = 60
TRIES, PAUSE = 3, 0.5
# MLflow answers for no more runs, and with no more points, whatever is asked for.
MOST_RUNS, MOST_POINTS = 100, 25_000

# `run_id`, `step`, `timestamp` and `value`.
Point = dict[str, Any]


def read_runs(store: Store, condition: str = "") -> Iterator[Row]:
    """The runs of the experiment that meet an MLflow filter, oldest first: several pages are asked for at once."""
    body = {
        "experiment_ids": [store.experiment_id],
        "filter": condition,
        "max_results": RUNS_A_PAGE,
        "order_by": ["attributes.start_time ASC"],
    }

    def page(token: str) -> dict[str, Any]:
        asked = body | ({"page_token": token} if token else {})
        for _ in range(TRIES - 1):  # MLflow's search imports a module, which now and then fails where several do
            with suppress(MlflowException):
                return _asked(store, SEARCH, "POST", json=asked)
            time.sleep(PAUSE)
        return _asked(store, SEARCH, "POST", json=asked)

    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        pages, tokens = [page("")], count(1)
        while token := pages[-1].get("next_page_token", ""):
            yield from _rows(pages)
            if token == _token(next(tokens)):
                more = [token, *(_token(next(tokens)) for _ in range(REQUESTS_AT_ONCE - 1))]
                pages = _until_the_last(pool.map(page, more))
            else:  # a store that counts its pages otherwise
                pages = [page(token)]
        yield from _rows(pages)


def read_points(store: Store, run_ids: Sequence[str], key: str) -> list[Point]:
    """The points of a metric in at most `MOST_RUNS` runs.

    Raises:
        MlflowException: if the server does not answer, or knows no such request.
    """
    points: list[Point] = []
    left = list(run_ids)
    while left:
        asked = [("run_id", run_id) for run_id in left] + [("metric_key", key), ("max_results", str(MOST_POINTS))]
        found = _asked(store, HISTORIES, "GET", params=asked)["metrics"]
        if len(found) < MOST_POINTS:
            return points + found
        cut = found[-1]["run_id"]  # runs come one after the other: the rest are whole
        whole = {point["run_id"] for point in found} - {cut}
        if whole:
            points += [point for point in found if point["run_id"] != cut]
        else:
            points += read_history(store, cut, key)
        left = [run_id for run_id in left if run_id not in whole and (whole or run_id != cut)]
    return points


def read_history(store: Store, run_id: str, key: str) -> list[Point]:
    """The points of a metric in one run, however many."""
    found = store.client.get_metric_history(run_id, key)
    return [{"run_id": run_id, "step": it.step, "timestamp": it.timestamp, "value": it.value} for it in found]


def is_served(artifact_uri: str) -> bool:
    """Whether files below an address are handed out by the tracking server itself."""
    return artifact_uri.startswith(SERVED) and not urlsplit(artifact_uri).netloc


def read_file(store: Store, artifact_uri: str, name: str) -> bytes:
    """A file of a run: one request, where MLflow's client makes three.

    Raises:
        MlflowException: if there is none, or the server does not answer.
        UserError: if the store is the database of a server, not the server.
    """
    if database_of(store) is not None:
        raise UserError(
            f"{store.address}: the files of its runs are handed out by a tracking server; "
            "set MLFLOW_TRACKING_URI to that server's address"
        )
    endpoint = FILES + quote(f"{urlsplit(artifact_uri).path.strip('/')}/{name}")
    response = _answer(store, endpoint, "GET")
    if response.status_code != HTTPStatus.OK:
        raise MlflowException(f"{endpoint}: {response.status_code}")
    return bytes(response.content)


def _asked(store: Store, endpoint: str, method: str, **request: Any) -> dict[str, Any]:
    try:
        return dict(json.loads(verify_rest_response(_answer(store, endpoint, method, **request), "").text))
    except ValueError as error:
        raise MlflowException(f"{endpoint}: the answer is no JSON ({error})") from error


def _answer(store: Store, endpoint: str, method: str, **request: Any) -> Any:
    credentials = store.client._tracking_client.store.get_host_creds()
    return http_request(credentials, endpoint, method, timeout=TIMEOUT, **request)


def _token(pages: int) -> str:
    """By which MLflow's own stores know the page that follows so many others."""
    return str(SearchUtils.create_page_token(pages * RUNS_A_PAGE).decode())


def _until_the_last(pages: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pages asked for at once, without those beyond the last."""
    found = []
    for page in pages:
        found.append(page)
        if not page.get("next_page_token"):
            break
    return found


def _rows(pages: Iterable[dict[str, Any]]) -> Iterator[Row]:
    for run in (run for page in pages for run in page.get("runs", ())):
        info, data = run["info"], run.get("data", {})
        params, tags = ({it["key"]: it.get("value", "") for it in data.get(kind, ())} for kind in ("params", "tags"))
        metrics = {it["key"]: float(it["value"]) for it in data.get("metrics", ())}
        end_time = int(info.get("end_time", 0))
        row = Info(info["run_id"], info.get("run_name", ""), info["status"], end_time, info["artifact_uri"])
        yield Row(row, params, tags, metrics)
