"""Trials as packs beside trials one by one: what one more costs, the memory, where the time goes, the accuracy.

python -m benchmarks.packs --write benchmarks/results/packs_cpu.md --counts 1 8 32
python -m benchmarks.packs --write benchmarks/results/packs_accuracy.md --counts --accuracy 10 --epochs 15
python -m benchmarks.packs --write benchmarks/results/packs_h100.md --commands       (on a machine with a GPU)

One by one is a loop by hand over torch.nn's layers, on a GPU cuDNN's, with a step as one CUDA graph and without, in
the same precision. What is measured is written point by point.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from benchmarks.contenders.process import together, write_data
from benchmarks.packs.programs import Shape, measure, measure_one_by_one, shares
from benchmarks.packs.report import ONE_BY_ONE, Report
from benchmarks.packs.sweeps import CELLS, accuracy, commands


def where_time_goes() -> Iterator[str]:
    yield from ["Where the time of a step goes, hidden 128, bf16-mixed:", "", "| cell | K | share |", "|---|---|---|"]
    for cell in CELLS:
        for count in (1, 64):
            found = shares(Shape(cell, 128, "bf16-mixed"), count)
            kernels = found.pop("kernels")
            words = ", ".join(f"{kind} {100 * part:.0f} %" for kind, part in sorted(found.items()))
            yield f"| {cell} | {count} | {words}; {kernels:.0f} kernels a step |"
    yield ""


def main() -> None:
    gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--counts", type=int, nargs="*", default=[1, 8, 32, 64, 128, 256])
    parser.add_argument("--hidden-sizes", type=int, nargs="*", default=[50, 128, 256])
    parser.add_argument("--precisions", nargs="*", default=["32-true", "bf16-mixed"] if gpu else ["32-true"])
    parser.add_argument("--tf32", action="store_true", help="on a GPU: products of float32 in TF32")
    parser.add_argument("--kernels", nargs="*", default=["auto"], help="routes, as in model.kernel")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--commands", action="store_true", help="time whole commands too")
    parser.add_argument("--accuracy", type=int, default=0, metavar="SEEDS", help="compare accuracies of so many seeds")
    parser.add_argument("--epochs", type=int, default=10, help="of whole commands")
    parser.add_argument("--write", type=Path, help="the Markdown file to write; a picture and JSON go beside it")
    arguments = parser.parse_args()
    report = Report(arguments.write)
    shapes = [
        Shape(cell, hidden_size, precision, kernel, arguments.tf32)
        for precision in arguments.precisions
        for hidden_size in arguments.hidden_sizes
        for cell in CELLS
        for kernel in arguments.kernels
    ]
    if arguments.counts:
        measure_all(shapes, arguments.counts, arguments.repeats, report)
        if gpu:
            report.add("time", where_time_goes())
    if arguments.accuracy:
        report.add("accuracy", accuracy(arguments.accuracy, arguments.epochs))
    if arguments.commands:
        for precision in arguments.precisions:
            report.add(f"commands {precision}", commands(arguments.epochs, precision, 64 if gpu else 8))
    report.write()
    print(report.text)


def measure_all(shapes: Sequence[Shape], counts: Sequence[int], repeats: int, report: Report) -> None:
    """Measure each network one by one and each pack, and have the report say so at once."""
    names = [name for name in ONE_BY_ONE if torch.cuda.is_available() or name == "bare"]
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        write_data(data)
        with together(names, shapes[0].network, data) as contenders:
            for shape in shapes:
                if shape.network not in report.results.one_by_one:
                    found = measure_one_by_one(contenders, shape.network, repeats)
                    report.results.one_by_one[shape.network] = found
                for count in counts:
                    report.results.points.append(measure(shape, count, repeats))
                    report.write()


if __name__ == "__main__":
    main()
