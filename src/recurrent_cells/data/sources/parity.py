"""The parity of bits."""

from types import MappingProxyType

import numpy as np

from recurrent_cells.data.arrays import valid_steps
from recurrent_cells.data.made import LONG, SHORT, Made, one_hot
from recurrent_cells.data.sources import Part


class Parity(Made):
    """Bits of which is asked whether the ones are odd in number; trained on 3 to 40 steps, tested on 40 to 256.

    As in Delétang et al. 2023 (2207.02098), with the lengths of Beck et al. 2024 (2405.04517). Who guesses is right in
    half.
    """

    name, num_features, length = "parity", 2, LONG[1]
    keys = ("examples", "split_seed")
    naive = MappingProxyType({"test/acc": 1 / 2})

    def draw(self, random: np.random.RandomState, count: int, length: int, is_test: bool) -> Part:
        shortest, longest = LONG if is_test else SHORT
        bits = random.randint(0, 2, (count, longest))
        lengths = random.randint(shortest, longest + 1, count)
        odd = (bits * valid_steps(lengths, longest)).sum(axis=1) % 2
        return Part(one_hot(bits, 2), odd, self.place, lengths)
