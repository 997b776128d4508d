"""A contender as its starter sees it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np

from benchmarks.contenders import Network
from src import REPOSITORY


class Contender:
    """A running process of benchmarks.contenders in a checkout, on one core if one is named."""

    def __init__(
        self,
        name: str,
        network: Network,
        data: Path,
        core: int | None,
        python: str = sys.executable,
        folder: Path = REPOSITORY,
    ) -> None:
        self.name = name
        self._python, self._data, self._core, self._folder = python, data, core, folder
        self._start(network)

    def _start(self, network: Network) -> None:
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by `end`
        self.process = subprocess.Popen(
            [self._python, "-m", "benchmarks.contenders", self.name, json.dumps(network.told()), str(self._data)],
            cwd=self._folder,
            env=os.environ | ({} if self._core is None else {"CORE": str(self._core)}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )

    def take(self, network: Network) -> None:
        """Have the next steps train another network, in a new process if this one has died."""
        if self.process.poll() is None:
            self._tell(json.dumps(network.told()))
        else:
            self.end()
            self._start(network)

    def train(self, steps: int) -> float:
        """Seconds a step.

        Raises:
            RuntimeError: with the last line the process wrote, if it has died.
        """
        self._tell(str(steps))
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        if not answer:
            self.process.wait()
            self.errors.seek(0)
            lines = [line.strip() for line in self.errors if line.strip()]
            raise RuntimeError(f"{self.name}: {lines[-1] if lines else 'ended without a word'}")
        return float(answer)

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def _tell(self, line: str) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # a process that has died gives no answer
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()


def take_turns(running: Mapping[str, tuple[Contender, int]], repeats: int) -> dict[str, list[float]]:
    """Seconds a step of each contender in each round; a round has so many steps of each, one after the other."""
    found: dict[str, list[float]] = {name: [] for name in running}
    for _ in range(repeats):
        for name, (contender, steps) in running.items():
            found[name].append(contender.train(steps))
    return found


@contextmanager
def together(names: Sequence[str], network: Network, data: Path) -> Iterator[dict[str, Contender]]:
    """Contenders by name that start at once, on any core, and end together."""
    started: dict[str, Contender] = {}
    with ExitStack() as stack:
        for name in names:
            started[name] = Contender(name, network, data, core=None)
            stack.callback(started[name].end)
        yield started


def write_data(path: Path) -> None:
    """The training sequences and labels of the default data."""
    from recurrent_cells.config.schema import DataConfig
    from recurrent_cells.data.splits import load_splits

    splits = load_splits(DataConfig(name="mnist_5k", val_size=500, test_size=500))
    np.savez(path, x=splits.train.sequences.numpy(), y=splits.train.targets.numpy())
