"""The web application of the page that watches a sweep."""

import asyncio
import json
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response

from recurrent_cells.serving.base import BODY_TIMEOUT, BadRequest, base_app, file_response, json_object, read_body
from recurrent_cells.serving.watch.actions import act
from recurrent_cells.serving.watch.machine import Machine
from recurrent_cells.serving.watch.sweep import WatchedSweep
from recurrent_cells.tracking.artifacts import read_log

HERE = Path(__file__).parent
LIBRARY = HERE.parent / "static"
# All files that the page is made of, by address.
FILES = {
    "/": (HERE / "page.html", "text/html"),
    "/page.css": (HERE / "page.css", "text/css"),
    "/page.js": (HERE / "page.js", "text/javascript"),
    "/charts.js": (HERE / "charts.js", "text/javascript"),
    "/uPlot.min.js": (LIBRARY / "uPlot.min.js", "text/javascript"),
    "/uPlot.min.css": (LIBRARY / "uPlot.min.css", "text/css"),
}
POLICY = (
    "script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
LINES_OF_A_LOG = 30
TOKEN_HEADER = "x-watch-token"


def create_app(sweep: WatchedSweep, token: str) -> FastAPI:
    """The application that shows a sweep; the store is asked in a thread of its own, one request at a time.

    Args:
        token: what a page must send with what it wants done.
    """
    app, machine, worker = base_app(), Machine(), ThreadPoolExecutor(1, "store")

    async def answered(work: Callable[[], Any]) -> Response:
        content = await asyncio.get_running_loop().run_in_executor(worker, lambda: json.dumps(work()))
        return Response(content, media_type="application/json", headers={"cache-control": "no-store"})

    @app.get("/sweep")
    async def changes(since: str = "") -> Response:
        return await answered(lambda: _look(sweep, since) | {"machine": machine.look()})

    @app.get("/log")
    async def log(trial: str = "") -> Response:
        return await answered(lambda: {"lines": _log(sweep, trial)})

    @app.post("/actions")
    async def actions(request: Request) -> Response:
        if not secrets.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), token.encode()):
            raise BadRequest(403, "the token is missing or another; the command printed the address that has it")
        body = await read_body(request, BODY_TIMEOUT)
        return await answered(lambda: {"done": act(sweep, json_object(body))})

    for address, (path, kind) in FILES.items():
        app.get(address)(_file(path, kind))
    return app


def _file(path: Path, kind: str) -> Callable[[], Any]:
    async def respond() -> Response:
        return file_response(path, kind, POLICY)

    return respond


def _look(sweep: WatchedSweep, since: str) -> dict[str, Any]:
    sweep.look()
    return sweep.since(since)


def _log(sweep: WatchedSweep, fingerprint: str) -> list[str]:
    """The last lines of a trial's log; raises BadRequest if it is none of the sweep, or has left none."""
    trial = sweep.trials.get(fingerprint)
    if trial is None or trial.record is None:
        raise BadRequest(404, f"trial {fingerprint[:40]}: no trial of this sweep with a run")
    text = read_log(sweep.store, trial.record)
    if text is None:
        raise BadRequest(404, f"{trial.name}: there is no log of it on this machine")
    return text.splitlines()[-LINES_OF_A_LOG:]
