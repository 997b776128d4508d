"""What a training step of a pack asks of a GPU: kernels launched, and bytes that they read and write for each trial.

python -m benchmarks.launches --write benchmarks/results/launches.md

Counted without a GPU: the program runs on tensors that have shapes alone, by the routes that a GPU takes. Every
operation that is no view is one kernel, which reads its arguments and writes its results once.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.packs.programs import Shape, build_program, config_of
from benchmarks.record import machine, write_result
from recurrent_cells.data.splits import load_splits
from recurrent_cells.models.routes import torch_loop

NETWORKS = (("simple_rnn", 50), ("lstm", 128), ("gru", 128))
STEPS = 4
# Take memory, and do nothing to it.
NO_KERNELS = ("empty", "detach", "_unsafe_view", "new_empty", "empty_like", "empty_strided")


@dataclass
class Kernels(TorchDispatchMode):
    """Counts kernels by the name of their operation, and bytes."""

    launches: Counter[str] = field(default_factory=Counter)
    traffic: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        name = function.name().removeprefix("aten::").partition(".")[0]
        aliases = [it.alias_info for it in function._schema.returns]
        is_view = bool(aliases) and all(it is not None and not it.is_write for it in aliases)
        if not (is_view or name in NO_KERNELS or function.namespace == "prim"):
            written = {"copy_": 1, "fill_": 1, "zero_": 1}.get(name, 0)
            read = [*args[written:], *(value for key, value in kwargs.items() if not key.startswith("out"))]
            self.launches[name] += 1
            self.traffic += sum(map(_bytes, tree_leaves([read, result if aliases else args[0]])))
        return result


def _bytes(value: Any) -> int:
    """Of the different elements of a tensor."""
    if not isinstance(value, Tensor):
        return 0
    count = value.element_size() if value.numel() else 0
    for size, stride in zip(value.shape, value.stride(), strict=True):
        count *= size if stride else 1
    return count


def counted(cell: str, hidden_size: int, count: int) -> Kernels:
    """All kernels of some steps of a pack."""
    shape = Shape(cell, hidden_size, "32-true")
    load_splits(config_of(shape, seed=0).data)  # kept, with its content
    with patch.object(torch_loop, "on_gpu", lambda x: True), FakeTensorMode(allow_non_fake_inputs=True):
        program = build_program(shape, count)
        program.train(1)
        with Kernels() as kernels:
            program.train(1 + STEPS)
    return kernels


def lines(counts: Sequence[int]) -> Iterator[str]:
    yield "# What a training step of a pack asks of a GPU\n"
    yield "`python -m benchmarks.launches --write benchmarks/results/launches.md`\n"
    yield "Counted on shapes, without a GPU: batch 128, 28 rows of 28, float32, adam, the mean of 4 steps, gathering"
    yield "their batches included. A kernel reads its arguments and writes its results once.\n"
    yield "| cell | hidden | trials | kernels a step | MB a trial and step | most often |"
    yield "|---|---|---|---|---|---|"
    for cell, hidden_size in NETWORKS:
        for count in counts:
            kernels = counted(cell, hidden_size, count)
            often = ", ".join(f"{name} {number / STEPS:.0f}" for name, number in kernels.launches.most_common(5))
            megabytes = kernels.traffic / STEPS / count / 1e6
            yield (
                f"| {cell} | {hidden_size} | {count} | {kernels.launches.total() / STEPS:,.0f} | {megabytes:,.0f} "
                f"| {often} |"
            )
    yield f"\n{machine()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    write_result("\n".join([*lines(arguments.counts), ""]), arguments.write)


if __name__ == "__main__":
    main()
