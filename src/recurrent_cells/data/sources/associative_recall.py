"""Associative recall."""

from types import MappingProxyType

import numpy as np

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.made import Made, one_hot
from recurrent_cells.data.sources import NOT_ASKED, Part

VALUES = 8


class AssociativeRecall(Made):
    """Keys, each with a value, then the keys alone in another order, at which their values are asked for.

    After Ba et al. 2016 (1610.06258); key and value come in one step as in Schlag et al. 2021 (2102.11174), and all
    keys are asked for as in Arora et al. 2023 (2312.04927). Each of `data.length` keys, by default 8, comes once with a
    value of 8 kinds and once alone: T is twice as many, F the keys and the values. Who guesses is right in 1 of 8.
    """

    name, length = "associative_recall", 8
    naive = MappingProxyType({"test/acc": 1 / VALUES})

    def numbers(self, length: int) -> int:
        return 2 * length * (length + VALUES)

    def draw(self, random: np.random.RandomState, count: int, data: DataConfig, is_test: bool) -> Part:
        pairs = data.length or self.length
        told, asked = (random.uniform(size=(count, pairs)).argsort(axis=1) for _ in range(2))
        value_of = random.randint(0, VALUES, (count, pairs))
        steps = np.zeros((count, 2 * pairs, pairs + VALUES), dtype=np.float32)
        steps[..., :pairs] = one_hot(np.concatenate([told, asked], axis=1), pairs)
        steps[:, :pairs, pairs:] = one_hot(np.take_along_axis(value_of, told, axis=1), VALUES)
        targets = np.full((count, 2 * pairs), NOT_ASKED)
        targets[:, pairs:] = np.take_along_axis(value_of, asked, axis=1)
        return Part(steps, targets, self.place)
