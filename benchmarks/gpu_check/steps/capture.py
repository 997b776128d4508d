"""Whether a step becomes a CUDA graph, and whether what cannot become one does any harm."""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import product
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from benchmarks.gpu_check.check import Check, Point
from benchmarks.packs.programs import Shape, build_program, timed
from recurrent_cells.tables import CELLS, OPTIMIZERS
from recurrent_cells.training.graph import graphed

TITLE, SECONDS, SHARE = "Steps as CUDA graphs", 12, 40
STEPS = 40


def points(check: Check) -> Iterator[Point]:
    if check.device == "gpu":
        yield Point("a failed capture", failed_capture)
    hidden_size = check.sizes.wide[-1]
    for precision, cell in product(check.sizes.precisions, check.sizes.cells):
        programs = [("auto", 1), *((route, 2) for route in check.routes if precision != "16-mixed")]
        for route, count in programs:
            shape = Shape(cell, hidden_size, precision, route)
            yield Point(f"{cell}, {precision}, {route}, K = {count}", partial(replays, shape, count, "adam"))
    for cell, count in product((it for it in CELLS.names if it not in check.sizes.cells), (1, 2)):
        shape = Shape(cell, hidden_size, "bf16-mixed")
        yield Point(f"{cell}, {shape.precision}, {shape.kernel}, K = {count}", partial(replays, shape, count, "adam"))
    for optimizer in OPTIMIZERS.names:
        shape = Shape("lstm", hidden_size, "bf16-mixed")
        yield Point(f"lstm, {shape.precision}, {optimizer}", partial(replays, shape, 1, optimizer))


def replays(shape: Shape, count: int, optimizer: str) -> dict[str, Any]:
    """How many graphs a step launches once it has been recorded: one, if it is a graph."""
    program = build_program(shape, count, optimizer)
    timed(program, STEPS)
    launched = 0
    plain = torch.cuda.CUDAGraph.replay

    def counted(graph: torch.cuda.CUDAGraph) -> None:
        nonlocal launched
        launched += 1
        plain(graph)

    with patch.object(torch.cuda.CUDAGraph, "replay", counted):
        seconds = timed(program, STEPS)
    return {"graphs a step": launched / STEPS, "milliseconds a step": 1000 * seconds}


def failed_capture() -> dict[str, Any]:
    """A step that asks the host cannot be recorded; whether memory, draws and graphs work afterwards as before."""

    def asks(x: Tensor) -> tuple[Tensor, ...]:
        return (x * x.sum().item(),)

    def doubles(x: Tensor) -> tuple[Tensor, ...]:
        return (x * 2,)

    x = torch.rand(1 << 20, device="cuda")
    before = torch.cuda.current_stream()
    recorded = graphed(asks, [x])
    torch.cuda.empty_cache()
    more = torch.rand(1 << 24, device="cuda")
    torch.cuda.manual_seed(0)
    drawn = torch.rand(4, device="cuda").cpu()
    torch.cuda.manual_seed(0)
    after = graphed(doubles, [x])
    torch.cuda.synchronize()
    assert after is not None
    return {
        "recorded": recorded is not None,
        "same stream": torch.cuda.current_stream() == before,
        "memory usable": bool(torch.isfinite(more.sum())),
        "draws repeat": torch.equal(drawn, torch.rand(4, device="cuda").cpu()),
        "graphs usable": torch.equal(after(x)[0], 2 * x),
        "steps usable": timed(build_program(Shape("lstm", 50, "32-true"), 1), STEPS) > 0,
    }


def report(found: Mapping[str, Any]) -> Iterator[str]:
    if "a failed capture" in found:
        words = ", ".join(f"{name}: {'yes' if value else 'no'}" for name, value in found["a failed capture"].items())
        yield from [f"After a step that cannot be recorded: {words}.", ""]
    yield from ["| | graphs a step | ms a step |", "|---|---|---|"]
    for name, result in found.items():
        if "graphs a step" in result:
            yield f"| {name} | {result['graphs a step']:g} | {result['milliseconds a step']:.2f} |"
    yield ""
