"""Training steps of one layer of every cell on one thread, beside a plain loop and packages that have the same cell.

python -m benchmarks.cells --write benchmarks/results/cells.md

Packages that are not installed are left out: minGRU-pytorch, s5-pytorch, accelerated-scan and xlstm (PYTHONPATH=FOLDER
after pip install --target FOLDER).
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.record import machine, write_result
from recurrent_cells.models.layers import RecurrentLayers
from recurrent_cells.tables import CELLS
from recurrent_cells.training.device import flush_denormals, use_threads

# Steps and features of an image of 784 pixels.
SIZES = ((28, 28), (196, 4))
BATCH, HIDDEN_SIZE = 128, 128
YARDSTICK = "lstm"
OURS, LOOP = "this harness", "plain loop"


class Outputs(nn.Module):
    """Our layer, (B, T, F) → (B, T, H)."""

    def __init__(self, cell: str, num_features: int, kernel: str = "auto") -> None:
        super().__init__()
        self.layers = RecurrentLayers(cell, num_features, HIDDEN_SIZE, kernel=kernel)
        self.layers.initialize("torch", None)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.layers(x)[0]
        return outputs


class AcceleratedMinGRU(nn.Module):
    """minGRU by accelerated-scan's reference, the one of its scans that runs on a CPU."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.scan = import_module("accelerated_scan.ref").scan
        self.to_gates = nn.Linear(num_features, 2 * HIDDEN_SIZE)

    def forward(self, x: Tensor) -> Tensor:
        z, v = self.to_gates(x).mT.chunk(2, dim=1)  # (B, H, T) as that wants it
        z = z.sigmoid()
        b = z * torch.where(v >= 0, v + 0.5, v.sigmoid())
        states: Tensor = self.scan((1 - z).contiguous(), b.contiguous())
        return states.mT


class XLSTM(nn.Module):
    """sLSTM by xlstm, in the way that is torch alone: its other needs a GPU."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        package = import_module("xlstm.blocks.slstm.cell")
        settings = {"num_heads": CELLS["slstm"].options["heads"].default, "dtype": "float32", "backend": "vanilla"}
        self.to_gates = nn.Linear(num_features, 4 * HIDDEN_SIZE, bias=False)
        self.cell = package.sLSTMCell(package.sLSTMCellConfig(hidden_size=HIDDEN_SIZE, output_shape="BSH", **settings))

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.cell(self.to_gates(x))[0]
        return outputs


def mingru(name: str) -> Callable[[int], nn.Module]:
    """The class of minGRU-pytorch, in log space; without its product after the layer."""

    def make(num_features: int) -> nn.Module:
        module: nn.Module = getattr(import_module(f"minGRU_pytorch.{name}"), name)(
            num_features, HIDDEN_SIZE / num_features, proj_out=False
        )
        return module

    return make


def s5(num_features: int) -> nn.Module:
    """S5, which is an LRU with a discretised system, after a product that gives it H features."""
    state_size = CELLS["lru"].options["state_size"].default
    layer: nn.Module = import_module("s5").S5(HIDDEN_SIZE, state_size)
    return nn.Sequential(nn.Linear(num_features, HIDDEN_SIZE), layer)


# What a package has, by cell: its name on the registry, the module that tells it is there, and what makes the layer.
PACKAGES: dict[str, list[tuple[str, str, Callable[[int], nn.Module]]]] = {
    "min_gru": [
        ("minGRU-pytorch", "minGRU_pytorch", mingru("minGRU")),
        ("accelerated-scan", "accelerated_scan", AcceleratedMinGRU),
    ],
    "min_lstm": [("minGRU-pytorch", "minGRU_pytorch", mingru("minLSTM"))],
    "lru": [("s5-pytorch", "s5", s5)],
    "slstm": [("xlstm", "xlstm", XLSTM)],
}


def contenders(cells: list[str], num_features: int) -> Iterator[tuple[str, str, nn.Module]]:
    """Cell, what computes it, and the layer."""
    for cell in cells:
        yield cell, OURS, Outputs(cell, num_features)
        yield cell, LOOP, Outputs(cell, num_features, "reference")
        for name, module, make in PACKAGES.get(cell, []):
            if find_spec(module) is not None:
                yield cell, name, make(num_features)


def seconds(layer: nn.Module, x: Tensor, d_outputs: Tensor) -> float:
    """The processor's seconds of a way forward and back; those of a clock are also others'."""
    start = time.process_time()
    torch.autograd.grad(layer(x), [it for it in layer.parameters() if it.requires_grad], d_outputs, allow_unused=True)
    return time.process_time() - start


def measure(cells: list[str], size: tuple[int, int], rounds: int) -> dict[tuple[str, str], float]:
    """Medians of rounds taken in turn, in seconds, by cell and contender."""
    torch.manual_seed(0)
    x, d_outputs = torch.randn(BATCH, *size), torch.randn(BATCH, size[0], HIDDEN_SIZE)
    layers = list(contenders(cells, size[1]))
    found: dict[tuple[str, str], list[float]] = {(cell, name): [] for cell, name, _ in layers}
    for number in range(rounds):
        for cell, name, layer in layers:
            seconds(layer, x, d_outputs)  # memory and caches are another's before
            found[cell, name].append(seconds(layer, x, d_outputs))
        print(f"{size[0]} steps: round {number + 1} of {rounds}", flush=True)
    return {key: statistics.median(times) for key, times in found.items()}


def rows(measured: list[dict[tuple[str, str], float]]) -> Iterator[str]:
    """A line for each cell and contender: its time as a multiple of the LSTM's, for each size."""
    for cell, name in measured[0]:
        parts = [f"{it[cell, name] / it[YARDSTICK, OURS]:.2f}" for it in measured]
        gains = [f"{it[cell, name] / it[cell, OURS]:.1f}" for it in measured]
        label = CELLS[cell].label if name == OURS else ""
        yield f"| {label} | {name} | {' | '.join(parts)} | {'' if name == OURS else ' / '.join(gains)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cells", default=",".join(CELLS.names), help="some of them, with commas")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    use_threads(1)
    flush_denormals(True)
    cells = [YARDSTICK, *(name for name in given.cells.split(",") if name != YARDSTICK)]
    loads = [os.getloadavg()[0]]
    measured = [measure(cells, size, given.rounds) for size in SIZES]
    loads.append(os.getloadavg()[0])
    in_ms = [
        f"{1000 * it[YARDSTICK, OURS]:.0f} ms at {size[0]} steps" for it, size in zip(measured, SIZES, strict=True)
    ]
    steps = " | ".join(f"{size[0]} steps" for size in SIZES)
    lines = [
        "# Cells on one thread",
        "",
        f"`python -m benchmarks.cells --cells {','.join(cells)} --rounds {given.rounds}`",
        "",
        "The processor's time for a layer forward and back and nothing else, as a multiple of that of this harness's "
        f"LSTM ({', '.join(in_ms)}): batch {BATCH}, hidden size {HIDDEN_SIZE}, an image of 784 values as so many "
        "steps, every output with a gradient, denormals taken for 0; medians of rounds taken in turn in one process, "
        "each after the same once more, untimed. A plain loop is the cell's step under autograd "
        "(`model.kernel=reference`). minGRU-pytorch is in log space. "
        f"The load of the machine went from {loads[0]:.0f} to {loads[1]:.0f} on {os.cpu_count()} cores.",
        "",
        f"| cell | computed by | {steps} | times as long as this harness |",
        "|---|---|---|---|---|",
        *rows(measured),
        "",
        machine(),
        "",
    ]
    write_result("\n".join(lines), given.write)


if __name__ == "__main__":
    main()
