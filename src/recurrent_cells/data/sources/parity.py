"""The parity of bits."""

from types import MappingProxyType

import numpy as np

from recurrent_cells.config.schema import DataConfig
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

    def draw(self, random: np.random.RandomState, count: int, data: DataConfig, is_test: bool) -> Part:
        shortest, longest = LONG if is_test else (SHORT[0], data.length or self.length)
        bits = random.randint(0, 2, (count, longest))
        lengths = random.randint(shortest, longest + 1, count)
        odd = bits.cumsum(axis=1) % 2
        is_last = np.arange(longest) == lengths[:, None] - 1
        if data.target_steps == "last":
            odd = odd[is_last]
        elif is_test:
            odd = np.where(is_last, odd, NOT_ASKED)
        return Part(one_hot(bits, 2), odd, self.place, lengths)
