"""The selective copying problem."""

from types import MappingProxyType

import numpy as np

from recurrent_cells.data.made import Made, one_hot
from recurrent_cells.data.sources import NOT_ASKED, Part

SYMBOLS, REMEMBERED = 14, 16
BLANK, GO = SYMBOLS, SYMBOLS + 1


class SelectiveCopy(Made):
    """Sixteen symbols scattered among blanks, then signs at which they are asked for in their order (Gu & Dao 2023).

    A sequence has `data.length` + 16 steps; in the paper, 2312.00752, they are 4,096. Symbols are of 14 kinds: who
    guesses is right in 1 of 14.
    """

    name, num_features, shortest = "selective_copy", SYMBOLS + 2, REMEMBERED
    naive = MappingProxyType({"test/acc": 1 / SYMBOLS})

    def draw(self, random: np.random.RandomState, count: int, length: int, is_test: bool) -> Part:
        remembered = random.randint(0, SYMBOLS, (count, REMEMBERED))
        places = np.sort(random.uniform(size=(count, length)).argsort(axis=1)[:, :REMEMBERED], axis=1)
        steps = np.full((count, length + REMEMBERED), BLANK)
        np.put_along_axis(steps, places, remembered, axis=1)
        steps[:, length:] = GO
        targets = np.full(steps.shape, NOT_ASKED)
        targets[:, length:] = remembered
        return Part(one_hot(steps, self.num_features), targets, self.place)
