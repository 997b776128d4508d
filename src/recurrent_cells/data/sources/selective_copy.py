"""The selective copying problem."""

from types import MappingProxyType

import numpy as np

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.made import Made, one_hot
from recurrent_cells.data.sources import NOT_ASKED, Part
from recurrent_cells.errors import UserError

KINDS, BLANK, GO = 14, 14, 15


class SelectiveCopy(Made):
    """Symbols scattered among blanks, then signs at which they are asked for in their order (Gu & Dao 2023).

    A sequence has `data.length` steps with `data.symbols` among them, by default 16, and as many signs; in the paper,
    2312.00752, they are 16 of 4,096. Symbols are of 14 kinds: who guesses is right in 1 of 14.
    """

    name, num_features = "selective_copy", KINDS + 2
    keys = (*Made.keys, "symbols")
    symbols = 16
    naive = MappingProxyType({"test/acc": 1 / KINDS})

    def load(self, data: DataConfig) -> list[Part]:
        symbols, length = data.symbols or self.symbols, data.length or self.length
        if symbols > length:
            raise UserError(f"data.length={length}: data={self.name} needs at least the {symbols} of data.symbols")
        return super().load(data)

    def draw(self, random: np.random.RandomState, count: int, data: DataConfig, is_test: bool) -> Part:
        length, symbols = data.length or self.length, data.symbols or self.symbols
        copied = random.randint(0, KINDS, (count, symbols))
        places = np.sort(random.uniform(size=(count, length)).argsort(axis=1)[:, :symbols], axis=1)
        steps = np.full((count, length + symbols), BLANK)
        np.put_along_axis(steps, places, copied, axis=1)
        steps[:, length:] = GO
        targets = np.full(steps.shape, NOT_ASKED)
        targets[:, length:] = copied
        return Part(one_hot(steps, self.num_features), targets, self.place)
