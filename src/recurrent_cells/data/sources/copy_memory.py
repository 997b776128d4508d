"""The copy memory problem."""

from types import MappingProxyType

import numpy as np

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.made import Made, one_hot
from recurrent_cells.data.sources import NOT_ASKED, Part

SYMBOLS, REMEMBERED = 8, 10
BLANK, GO = SYMBOLS, SYMBOLS + 1


class CopyMemory(Made):
    """Ten symbols, a wait, a sign to go: the symbols are asked for in their order (Arjovsky, Shah & Bengio 2016).

    A sequence has `data.length` + 20 steps: the symbols, of eight kinds, length - 1 blanks, the sign, and ten blanks at
    which the symbols are asked for (1511.06464; Hochreiter & Schmidhuber 1997). Who guesses is right in 1 of 8.
    """

    name, num_features = "copy_memory", SYMBOLS + 2
    naive = MappingProxyType({"test/acc": 1 / SYMBOLS})

    def draw(self, random: np.random.RandomState, count: int, data: DataConfig, is_test: bool) -> Part:
        length = data.length or self.length
        remembered = random.randint(0, SYMBOLS, (count, REMEMBERED))
        steps = np.full((count, length + 2 * REMEMBERED), BLANK)
        steps[:, :REMEMBERED] = remembered
        steps[:, -REMEMBERED - 1] = GO
        targets = np.full(steps.shape, NOT_ASKED)
        targets[:, -REMEMBERED:] = remembered
        return Part(one_hot(steps, self.num_features), targets, self.place)
