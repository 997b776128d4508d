"""Training steps of one network on long sequences, on one thread: this harness beside torch.nn.

python -m benchmarks.long_sequences --write benchmarks/results/long_sequences.md
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn

from benchmarks.record import machine, write_result
from recurrent_cells.config.schema import Config, DataConfig, ModelConfig, OptimizerConfig, TrainerConfig
from recurrent_cells.data.reading import Reading
from recurrent_cells.data.splits import Split, Splits
from recurrent_cells.models.classifier import build_classifier
from recurrent_cells.tasks import task_of
from recurrent_cells.training.device import flush_denormals, resolve_device, use_threads
from recurrent_cells.training.member import Member
from recurrent_cells.training.program import Program
from recurrent_cells.training.progress import Progress
from recurrent_cells.training.schedule import Schedule

CELLS: dict[str, Callable[..., nn.Module]] = {"simple_rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
# Steps and features of an image of 784 pixels.
SIZES = ((28, 28), (196, 4), (784, 1))
BATCH, CLASSES, EXAMPLES = 128, 10, 512
# Takes so many steps, and returns the processor's seconds for one: those of a clock are also others'.
Train = Callable[[int], float]


class Plain(nn.Module):
    """torch.nn's layer and a linear head on the output of the last step."""

    def __init__(self, cell: str, num_features: int, hidden_size: int) -> None:
        super().__init__()
        self.layer = CELLS[cell](num_features, hidden_size, batch_first=True)
        self.head = nn.Linear(hidden_size, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs, _ = self.layer(x)
        logits: torch.Tensor = self.head(outputs[:, -1])
        return logits


def bare(cell: str, data: Split, hidden_size: int) -> Train:
    """A loop written by hand."""
    torch.manual_seed(0)
    network = Plain(cell, data.sequences.shape[2], hidden_size)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    loss_function = nn.CrossEntropyLoss()

    def train(steps: int) -> float:
        order = torch.randperm(len(data))
        start = time.process_time()
        for step in range(steps):
            chosen = order[step % (EXAMPLES // BATCH) * BATCH :][:BATCH]
            loss = loss_function(network(data.sequences[chosen]), data.targets[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return (time.process_time() - start) / steps

    return train


def harness(cell: str, data: Split, hidden_size: int) -> Train:
    """The steps of a trial."""
    config = Config(
        model=ModelConfig(cell=cell, hidden_size=hidden_size),
        data=DataConfig(batch_size=BATCH),
        optimizer=OptimizerConfig(lr=1e-3),
        trainer=TrainerConfig(accelerator="cpu", max_steps=10**6),
    )
    _, num_steps, num_features = data.sequences.shape
    task, schedule = task_of("auto", "last"), Schedule.from_config(config.trainer, len(data), BATCH)
    progress = Progress(config, schedule, task, lambda point, step: None)
    classifier = build_classifier(config.model, num_features, CLASSES, seed=0)
    member = Member(config, classifier, progress, SimpleNamespace(stop=None))  # type: ignore[arg-type]
    splits = Splits(data, data, data, CLASSES, None, False, (num_steps, num_features), Reading("rows"), "", 0.0, 1.0)
    program = Program([member], splits, task, resolve_device(config.trainer))

    def train(steps: int) -> float:
        start = time.process_time()
        program.train(program.step + steps)
        return (time.process_time() - start) / steps

    return train


def measure(cell: str, size: tuple[int, int], hidden_size: int, rounds: int, seconds: float) -> tuple[float, float]:
    """Milliseconds of a step of the harness and of the bare loop: medians of rounds taken in turn."""
    generator = torch.Generator().manual_seed(0)
    sequences = torch.randn(EXAMPLES, *size, generator=generator)
    data = Split(sequences, torch.randint(CLASSES, (EXAMPLES,), generator=generator))
    contenders = [make(cell, data, hidden_size) for make in (harness, bare)]
    slowest = max(train(1) for train in contenders)
    steps = max(1, round(seconds / slowest))
    found = [[train(steps) for train in contenders] for _ in range(rounds)]
    ours, theirs = (1000 * statistics.median(times) for times in zip(*found, strict=True))
    return ours, theirs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--hidden-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a round")
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    use_threads(1)
    rows = []
    flushed = [(True, cell, size) for size in SIZES for cell in CELLS]
    kept = [(False, cell, SIZES[1]) for cell in CELLS]
    for flush, cell, size in flushed + kept:
        flush_denormals(flush)
        ours, theirs = measure(cell, size, given.hidden_size, given.rounds, given.seconds)
        flags = "" if flush else ", denormals kept"
        rows.append(f"| {cell}, {size[0]} steps{flags} | {ours:.1f} | {theirs:.1f} | {theirs / ours:.2f} |")
        print(rows[-1], flush=True)
    command = f"python -m benchmarks.long_sequences --hidden-size {given.hidden_size} --rounds {given.rounds}"
    lines = [
        "# Long sequences on one thread",
        "",
        f"`{command} --seconds {given.seconds:g}`",
        "",
        f"Milliseconds of the processor for a training step, batch {BATCH}, hidden size {given.hidden_size}, an image "
        "of 784 values in so many steps, denormals taken for 0 by both but in the last rows; medians of rounds taken "
        "in turn in one process.",
        "",
        "| network | this harness | bare loop, torch.nn | steps per second as a multiple of torch.nn |",
        "|---|---|---|---|",
        *rows,
        "",
        machine(),
        "",
    ]
    write_result("\n".join(lines), given.write)


if __name__ == "__main__":
    main()
