"""The web application: MLflow's scoring protocol, and a page to draw on and watch the networks read it."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from fastapi import FastAPI, Request, Response
from numpy.typing import NDArray

from recurrent_cells.inference.answers import Answer, answer, as_json, ask
from recurrent_cells.inference.images import prepare
from recurrent_cells.inference.trained import Trained
from recurrent_cells.models.network import Network
from recurrent_cells.reports.configurations import cell_label
from recurrent_cells.serving.base import (
    BODY_TIMEOUT,
    JSON,
    BadRequest,
    base_app,
    content_type,
    file_response,
    read_body,
)
from recurrent_cells.serving.models import Models
from recurrent_cells.serving.payloads import FILES, read_drawing, read_file, read_images, read_one_series, read_series
from recurrent_cells.tables import CELLS

PAGE = Path(__file__).with_name("page.html")
POLICY = "script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'"
DIGITS = 6


def create_app(models: Models, body_timeout: float = BODY_TIMEOUT) -> FastAPI:
    """The application in which these networks answer, one request at a time in a thread of their own."""
    app = base_app()
    worker = ThreadPoolExecutor(1, "inference")

    async def answered(request: Request, work: Callable[[bytes], Any], *more_kinds: str) -> Response:
        body = await read_body(request, body_timeout, (JSON, *more_kinds))
        content = await asyncio.get_running_loop().run_in_executor(worker, lambda: json.dumps(work(body)))
        return Response(content, media_type="application/json")

    @app.get("/")
    async def page() -> Response:
        return file_response(PAGE, "text/html", POLICY)

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
        if models.scoring.network.is_image or content_type(request) == JSON:
            return await answered(request, lambda body: score(models.scoring, body))
        return await answered(request, lambda body: score(models.scoring, body, is_file=True), *FILES)

    @app.post("/rows")
    async def rows(request: Request) -> Response:
        return await answered(request, lambda body: read_by_step(models, body))

    return app


def describe(models: Models) -> dict[str, Any]:
    """The networks, for the page."""
    cells = [
        {"cell": cell, "name": CELLS[cell].label, "color": CELLS[cell].color} | _named(trained)
        for cell, trained in models.by_cell.items()
    ]
    left_out = [
        {"reason": reason, "names": [cell_label(cell) for cell in of_reason]}
        for reason, of_reason in models.reasons.items()
    ]
    return {"scoring": _named(models.scoring) | {"choice": models.choice}, "cells": cells, "left_out": left_out}


def score(trained: Trained, body: bytes, is_file: bool = False) -> dict[str, Any]:
    """The answer to each image or series of a scoring request.

    Args:
        is_file: whether the body is a CSV or an .npz file of series, as `src.predict` takes them.

    Raises:
        BadRequest: if the body holds none, or anything else.
    """
    if trained.network.is_image:
        values: NDArray[Any] = read_images(body, trained.size)
    else:
        values = read_file(body, trained) if is_file else read_series(body, trained)
    predictions = []
    for found in ask(trained, values):
        answered = answer(trained, found)
        prediction = as_json(answered, trained.class_names)
        if isinstance(answered, Answer):
            prediction = {name: prediction[name] for name in ("label", "name", "probability") if name in prediction}
            prediction["probabilities"] = found.tolist()
        predictions.append(prediction)
    return {"predictions": predictions}


def read_by_step(models: Models, body: bytes) -> dict[str, Any]:
    """What each cell's network finds after each step of a drawing or a series, and what it read.

    That is a list of probabilities, or of numbers, for each row of the image (H, W) or step of the series (T, F).

    Raises:
        BadRequest: if the body holds neither, or there is no network.
    """
    is_image = models.scoring.network.is_image
    drawing = read_drawing(body) if is_image else read_one_series(body, models.scoring)
    if not models.by_cell:
        raise BadRequest(404, "there is no network that answers row by row")
    if is_image:
        image = prepare(drawing, models.scoring.size)
        shown = {"image": image.pixels.tolist(), "inverted": image.inverted, "blank": image.blank}
        values: NDArray[Any] = image.pixels[None]
    else:
        shown, values = {"series": drawing[0].tolist()}, drawing
    return shown | {"cells": {cell: _by_step(trained, values) for cell, trained in models.by_cell.items()}}


def _by_step(trained: Trained, values: NDArray[Any]) -> list[list[float]]:
    outputs = trained.logits_by_step(values)[0].double()
    steps: list[list[float]] = outputs.tolist()
    if trained.task.has_classes:
        steps = outputs.softmax(dim=-1).numpy().round(DIGITS).tolist()
    return steps


def _named(trained: Trained) -> dict[str, Any]:
    record, network = trained.record, trained.network
    kind, names = ("images" if network.is_image else "series"), (trained.names if trained.task.has_classes else None)
    judged = {"metric": record.metric, "selection": record.selection, "is_share": record.is_share}
    taken = {"takes": kind, "size": trained.size, "names": names, "num_outputs": trained.num_outputs}
    return {"run": record.name, "run_id": record.run_id} | judged | taken | {"range": _usual_range(network)}


def _usual_range(network: Network) -> tuple[float, float]:
    """The lowest and highest value of a series that a page expects: three deviations from the first feature's mean."""
    offset, scale = (float(torch.as_tensor(it).flatten()[0]) for it in (network.offset, network.scale))
    return offset - 3 * scale, offset + 3 * scale
