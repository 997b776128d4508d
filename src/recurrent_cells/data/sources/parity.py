"""The parity of bits."""

from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.arrays import valid_steps
from recurrent_cells.data.made import LONG, SHORT, Made, one_hot
from recurrent_cells.data.sources import NOT_ASKED, Part


class Parity(Made):
    """Bits of which is asked whether the ones are odd in number; trained on 3 to `data.length` steps, by default 40.

    Tested on 40 to 256. As in Delétang et al. 2023 (2207.02098), with the lengths of Beck et al. 2024 (2405.04517).
    With `data.target_steps=every` training and validation ask after every step of the bits up to there, the test after
    the last step alone. Who guesses is right in half.
    """

    name, num_features, length, shortest = "parity", 2, SHORT[1], SHORT[0]
    keys = ("length", "target_steps", "examples", "split_seed")
    naive = MappingProxyType({"test/acc": 1 / 2})

    def load(self, data: DataConfig) -> list[Part]:
        train, test = super().load(data)
        if data.target_steps == "last":
            return [train, test]
        return [replace(train, targets=_running(train)), replace(test, targets=_at_the_end(test))]

    def draw(self, random: np.random.RandomState, count: int, length: int, is_test: bool) -> Part:
        shortest, longest = LONG if is_test else (SHORT[0], length)
        bits = random.randint(0, 2, (count, longest))
        lengths = random.randint(shortest, longest + 1, count)
        odd = (bits * valid_steps(lengths, longest)).sum(axis=1) % 2
        return Part(one_hot(bits, 2), odd, self.place, lengths)


def _running(part: Part) -> NDArray[np.int64]:
    """Of each step, the parity of the bits so far, (N, T)."""
    ones: NDArray[np.int64] = part.values[..., 1].astype(np.int64).cumsum(axis=1)
    return ones % 2


def _at_the_end(part: Part) -> NDArray[np.int64]:
    """The target of each sequence at its last valid step, (N, T)."""
    assert part.lengths is not None
    is_last = np.arange(part.values.shape[1]) == part.lengths[:, None] - 1
    return np.where(is_last, part.targets[:, None], NOT_ASKED)
