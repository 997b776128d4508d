"""The adding problem."""

from types import MappingProxyType

import numpy as np

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.made import Made
from recurrent_cells.data.sources import Part


class Adding(Made):
    """Numbers of which two are marked, whose sum is asked for (Hochreiter & Schmidhuber 1997).

    Numbers are uniform on 0 … 1, and one is marked in each half of a sequence, as in Arjovsky, Shah & Bengio 2016
    (1511.06464). Who always answers 1 has a mean squared error of 1/6.
    """

    name, num_features = "adding", 2
    naive = MappingProxyType({"test/mse": 1 / 6})

    def draw(self, random: np.random.RandomState, count: int, data: DataConfig, is_test: bool) -> Part:
        length = data.length or self.length
        values = np.zeros((count, length, 2), dtype=np.float32)
        values[..., 0] = random.uniform(size=(count, length))
        rows = np.arange(count)
        half = length // 2
        for marked in (random.randint(0, half, count), random.randint(half, length, count)):
            values[rows, marked, 1] = 1
        return Part(values, (values[..., 0] * values[..., 1]).sum(axis=1), self.place)
