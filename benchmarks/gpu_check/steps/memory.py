"""The memory that `max_pack=auto` expects of a trial, and what packs take."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from benchmarks.gpu_check.check import Check, Point
from benchmarks.packs.programs import Shape, build_members, measure
from recurrent_cells.data.splits import load_splits
from recurrent_cells.interrupts import Interruption
from recurrent_cells.tasks import task_of
from recurrent_cells.training.device import resolve_device
from recurrent_cells.training.fit import USABLE_MEMORY, Fit

TITLE, SECONDS, SHARE = "Memory", 15, 15
MIB = 2**20


def points(check: Check) -> Iterator[Point]:
    sizes = check.sizes
    precision, tf32 = sizes.arithmetics[0]
    for cell in sizes.cells[:2]:
        for hidden_size in sizes.wide:
            for route in check.routes:
                shape = Shape(cell, hidden_size, precision, route, tf32)
                name = f"{cell} {hidden_size}, {shape.arithmetic}, {route}"
                yield Point(name, partial(compare, shape, sorted(sizes.counts)[1:]))


def compare(shape: Shape, counts: Sequence[int]) -> dict[str, Any]:
    """Bytes a trial as `max_pack=auto` reckons, and the most that programs of so many trials take; 0 on a CPU."""
    members = build_members(shape, 4)
    config = members[0].config
    device, task = resolve_device(config.trainer), task_of("auto", "last")
    data = device.hold(load_splits(config.data))
    most = Fit(data, task, device, Interruption(), lambda _: None)._as_many_as_fit(members)
    gpu = device.accelerator == "gpu"
    free = torch.cuda.mem_get_info()[0] if gpu else 0
    return {
        "most": most,
        "predicted": USABLE_MEMORY * free / most,
        "measured": {str(count): measure(shape, count, 1, 0.1).memory for count in counts},
        "memory of the device": torch.cuda.mem_get_info()[1] if gpu else 0,
    }


def report(found: Mapping[str, Any]) -> Iterator[str]:
    counts = list(dict.fromkeys(count for result in found.values() for count in result["measured"]))
    heads = " | ".join(f"K = {count}" for count in counts)
    yield "MiB a trial: as `max_pack=auto` reckons, as packs take at most with the data that all share, and what each"
    yield from ["further trial takes between the two largest packs.", ""]
    yield f"| | most trials at once | reckoned | {heads} | a further trial |"
    yield "|---|---|---|---|" + "---|" * len(counts)
    for name, result in found.items():
        sizes = {int(count): memory for count, memory in result["measured"].items()}
        few, many = sorted(sizes)[-2:]
        further = (sizes[many] - sizes[few]) / (many - few)
        each = " | ".join(f"{memory / count / MIB:.1f}" for count, memory in sizes.items())
        yield f"| {name} | {result['most']} | {result['predicted'] / MIB:.1f} | {each} | {further / MIB:.1f} |"
    yield ""
