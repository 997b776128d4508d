"""Packs by route and number of trials, over cuDNN's trials one after another."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch

from benchmarks.contenders.process import Contender, together, write_data
from benchmarks.gpu_check.check import Check, Point
from benchmarks.packs import programs
from benchmarks.packs.programs import BATCH_SIZE, Shape
from benchmarks.packs.report import ONE_BY_ONE, Results, table

TITLE, SECONDS, SHARE = "Packs", 15, 90
SECONDS_A_ROUND = 0.4
ALONE = "one by one"


def points(check: Check) -> Iterator[Point]:
    sizes = check.sizes
    names = [name for name in ONE_BY_ONE if check.device == "gpu" or name == "bare"]
    arithmetics = [
        [Shape(cell, hidden_size, precision, tf32=tf32) for cell in sizes.cells]
        for precision, tf32 in sizes.arithmetics
        for hidden_size in sizes.wide
    ]
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        write_data(data)
        with together(names, arithmetics[0][0].network, data) as contenders:
            for shapes in arithmetics:
                titles = {shape: f"{shape.cell} {shape.hidden_size}, {shape.arithmetic}" for shape in shapes}
                for shape, title in titles.items():
                    yield Point(f"{title}, {ALONE}", partial(one_by_one, contenders, shape, sizes.repeats))
                for route in reversed(check.routes):
                    for count, (shape, title) in product(sizes.counts, titles.items()):
                        act = partial(measure, replace(shape, kernel=route), count, sizes.repeats)
                        yield Point(f"{title}, {route}, K = {count}", act)


def one_by_one(contenders: Mapping[str, Contender], shape: Shape, repeats: int) -> dict[str, Any]:
    return {
        "shape": asdict(shape),
        ALONE: programs.measure_one_by_one(contenders, shape.network, repeats, SECONDS_A_ROUND),
    }


def measure(shape: Shape, count: int, repeats: int) -> dict[str, Any]:
    try:
        return asdict(programs.measure(shape, count, repeats, SECONDS_A_ROUND))
    except torch.OutOfMemoryError:
        return {"shape": asdict(shape), "count": count, "seconds": None, "memory": torch.cuda.max_memory_allocated()}


def results_of(found: Mapping[str, Any]) -> Results:
    """What the points say, as the benchmark of packs has it."""
    results = Results()
    for result in found.values():
        shape = Shape(**result["shape"])
        if ALONE in result:
            results.one_by_one[shape.network] = result[ALONE]
        elif result["seconds"] is not None:
            results.points.append(programs.Point(shape, result["count"], result["seconds"], result["memory"]))
    return results


def report(found: Mapping[str, Any]) -> Iterator[str]:
    results = results_of(found)
    yield f"A step of all K trials of a program, batch {BATCH_SIZE}, 28 rows of 28; in brackets trials a second as a"
    yield "multiple of trials one after another over cuDNN's layers in a loop by hand, a step as one CUDA graph; and"
    yield "the most memory in use."
    yield from ["", *table(results), ""]
    best = max(results.points, key=lambda point: results.gain(point) or 0.0, default=None)
    if best is not None and results.gain(best):
        steps = 10 * (55_000 // BATCH_SIZE)
        rate = 3600 / (steps * best.seconds_a_trial)
        what = f"{best.shape.cell} {best.shape.hidden_size}, {best.shape.arithmetic}, {best.shape.kernel}"
        yield f"The most: {results.gain(best):.1f} × ({what}, K = {best.count}), {rate:,.0f} trials of 10 epochs of"
        yield from ["55,000 images an hour, evaluations and tests left out.", ""]
