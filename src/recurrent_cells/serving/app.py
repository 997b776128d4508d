"""The web application: MLflow's scoring protocol, and a page on which to draw a digit and watch it being read."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from recurrent_cells.inference.images import prepare
from recurrent_cells.inference.prediction import answer, probabilities
from recurrent_cells.inference.trained import Trained
from recurrent_cells.models.cells import CELLS
from recurrent_cells.reports.configurations import CELL_NAMES
from recurrent_cells.serving.models import Models
from recurrent_cells.serving.payloads import MOST_BYTES, BadRequest, read_drawing, read_images

PAGE = Path(__file__).with_name("page.html")
# Of a body that is too large so much is read on: a client that still sends would not hear the answer.
MOST_READ = 8 * MOST_BYTES
PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; connect-src 'self'"
}
# Seconds a request's body may take to arrive.
BODY_TIMEOUT = 10.0
# Statuses given before the body is read: what is left of it is not waited for.
UNREAD = (408, 413)
DIGITS = 6


def create_app(models: Models, body_timeout: float = BODY_TIMEOUT) -> FastAPI:
    """The application in which these networks answer, one request after another in a thread of their own."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    worker = ThreadPoolExecutor(1, "inference")

    async def answered(request: Request, work: Callable[[bytes], Any]) -> Response:
        body = await _read_body(request, body_timeout)
        content = await asyncio.get_running_loop().run_in_executor(worker, lambda: json.dumps(work(body)))
        return Response(content, media_type="application/json")

    @app.get("/")
    async def page() -> Response:
        return Response(PAGE.read_text(), media_type="text/html", headers=PAGE_HEADERS)

    @app.get("/ping")
    @app.get("/health")
    async def ping() -> Response:
        return Response("\n", media_type="text/plain")

    @app.get("/version")
    async def mlflow_version() -> Response:
        return Response(version("mlflow"), media_type="text/plain")

    @app.get("/networks")
    async def networks() -> dict[str, Any]:
        return describe(models)

    @app.post("/invocations")
    async def invocations(request: Request) -> Response:
        return await answered(request, lambda body: score(models.scoring, body))

    @app.post("/rows")
    async def rows(request: Request) -> Response:
        return await answered(request, lambda body: read_by_row(models, body))

    @app.exception_handler(BadRequest)
    async def refused(_: Request, error: BadRequest) -> Response:
        return _error(error.status, str(error), {"connection": "close"} if error.status in UNREAD else {})

    @app.exception_handler(HTTPException)
    async def not_here(request: Request, error: HTTPException) -> Response:
        return _error(error.status_code, f"{request.method} {request.url.path}: {error.detail}", error.headers or {})

    return app


def describe(models: Models) -> dict[str, Any]:
    """The networks there are, in words for the page."""
    cells = [
        {"cell": cell, "name": CELL_NAMES.get(cell, cell), "color": CELLS[cell].color}
        | (_named(models.by_cell[cell]) if cell in models.by_cell else {"left_out": models.left_out[cell]})
        for cell in CELLS
    ]
    return {"scoring": _named(models.scoring) | {"choice": models.choice}, "cells": cells}


def score(trained: Trained, body: bytes) -> dict[str, Any]:
    """The answer to each image of a scoring request.

    Raises:
        BadRequest: if the body holds none, or anything else.
    """
    predictions = []
    for likely in probabilities(trained, read_images(body, trained.image_size)):
        found = answer(likely)
        values = {"label": found.label, "probability": found.probability, "probabilities": likely.tolist()}
        predictions.append(values)
    return {"predictions": predictions}


def read_by_row(models: Models, body: bytes) -> dict[str, Any]:
    """What the network of each cell holds likely after each row (T, C), and the image (H, W) it was shown.

    Raises:
        BadRequest: if the body holds no image, or there is no network.
    """
    drawing = read_drawing(body)
    if not models.by_cell:
        raise BadRequest(404, "there is no network that answers row by row")
    image = prepare(drawing, next(iter(models.by_cell.values())).image_size)
    cells = {
        cell: trained.logits_by_step(image.pixels[None])[0].double().softmax(dim=-1).numpy().round(DIGITS).tolist()
        for cell, trained in models.by_cell.items()
    }
    return {"image": image.pixels.tolist(), "inverted": image.inverted, "blank": image.blank, "cells": cells}


def _named(trained: Trained) -> dict[str, Any]:
    record = trained.record
    return {
        "run": record.name,
        "run_id": record.run_id,
        "accuracy": record.selection,
        "image_size": trained.image_size,
        "num_classes": trained.num_classes,
    }


async def _read_body(request: Request, timeout: float) -> bytes:
    """Raises BadRequest if it is too large, too slow, cut off or not said to be JSON."""
    body, received = bytearray(), 0
    try:
        async with asyncio.timeout(timeout):
            async for part in request.stream():
                received += len(part)
                if received <= MOST_BYTES:
                    body += part
                elif received > MOST_READ:
                    break
    except TimeoutError:
        raise BadRequest(408, f"the body took more than {timeout:g} s to arrive") from None
    except ClientDisconnect:
        raise BadRequest(400, "the body was cut off") from None
    if received > MOST_BYTES:
        raise BadRequest(413, f"the body is too large; allowed is 1 MiB ({MOST_BYTES:,} bytes)")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise BadRequest(415, f"content-type {kind or 'is missing'}: allowed is application/json")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise BadRequest(415, "content-encoding: allowed is a body that is not compressed")
    return bytes(body)


def _error(status: int, words: str, headers: Any) -> Response:
    return Response(json.dumps({"error": words}), status, headers, "application/json")
