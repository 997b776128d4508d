"""Tasks made on the spot: examples drawn by `data.split_seed`, so that trials of all seeds share them."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.sources import Part, Source
from recurrent_cells.errors import UserError
from recurrent_cells.memory import check_memory
from recurrent_cells.seeds import derive

# As they are drawn, and as they are kept.
BYTES_OF_A_NUMBER = 12
# Test sequences of a task whose networks are trained on short sequences are longer than any of these.
SHORT, LONG = (3, 40), (40, 256)


class Made(Source):
    """A task whose training and test examples are drawn when they are asked for.

    Attributes:
        num_features: F, where it is the same for all lengths.
        length: what `data.length` is where it is null: T, or that of which a task counts its steps.
        shortest: the least that it may be.
        examples, test_examples: how many there are.
    """

    keys: ClassVar[tuple[str, ...]] = ("length", "examples", "split_seed")
    num_features: ClassVar[int]
    length: ClassVar[int] = 100
    shortest: ClassVar[int] = 2
    examples: ClassVar[int] = 20_000
    test_examples: ClassVar[int] = 2_000

    @abstractmethod
    def draw(self, random: np.random.RandomState, count: int, data: DataConfig, is_test: bool) -> Part:
        """So many training or test examples."""

    def numbers(self, length: int) -> int:
        """The numbers of an example, T × F."""
        return length * self.num_features

    def load(self, data: DataConfig) -> list[Part]:
        count, length = data.examples or self.examples, data.length or self.length
        if length < self.shortest:
            raise UserError(f"data.length={length}: data={data.name} needs at least {self.shortest}")
        what = f"data={data.name} data.examples={count} data.length={length}"
        needed = (count + self.test_examples) * self.numbers(length) * BYTES_OF_A_NUMBER
        check_memory(needed, what, "give smaller values")
        random = np.random.RandomState(derive(data.split_seed, self.name) % 2**32)
        return [self.draw(random, count, data, False), self.draw(random, self.test_examples, data, True)]

    @property
    def place(self) -> str:
        return f"data={self.name}"


def one_hot(symbols: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """Symbols 0 … count - 1, (N, T), as (N, T, count)."""
    return np.eye(count, dtype=np.float32)[symbols]
