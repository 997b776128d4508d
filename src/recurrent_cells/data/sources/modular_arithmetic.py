"""Arithmetic modulo 5."""

from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.arrays import valid_steps
from recurrent_cells.data.made import LONG, SHORT, Made, one_hot
from recurrent_cells.data.sources import Part

MODULUS = 5
PLUS, MINUS, TIMES = range(MODULUS, MODULUS + 3)


class ModularArithmetic(Made):
    """Numbers 0 to 4 with +, - and × between them, whose value modulo 5 is asked for; × binds as usual.

    As in Delétang et al. 2023 (2207.02098, without brackets), with the lengths of Beck et al. 2024 (2405.04517):
    trained on 3 to 39 steps, tested on 41 to 255, which are odd as a number is at each end. Who guesses is right in
    1 of 5.
    """

    name, num_features, length = "modular_arithmetic", MODULUS + 3, LONG[1]
    keys = ("examples", "split_seed")
    naive = MappingProxyType({"test/acc": 1 / MODULUS})

    def draw(self, random: np.random.RandomState, count: int, data: DataConfig, is_test: bool) -> Part:
        shortest, longest = LONG if is_test else SHORT
        symbols = random.randint(0, MODULUS, (count, longest - 1))
        symbols[:, 1::2] = random.randint(PLUS, TIMES + 1, symbols[:, 1::2].shape)
        lengths = 2 * random.randint(shortest // 2, longest // 2, count) + 1
        return Part(one_hot(symbols, self.num_features), value(symbols, lengths), self.place, lengths)


def value(symbols: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Expressions (N, T) of so many symbols (N,), modulo 5."""
    valid = valid_steps(lengths, symbols.shape[1])
    total, term = np.zeros(len(symbols), dtype=np.int64), symbols[:, 0]
    for step in range(2, symbols.shape[1], 2):
        sign, number = symbols[:, step - 1], symbols[:, step]
        is_product = sign == TIMES
        new_total = np.where(is_product, total, total + term)
        new_term = np.where(is_product, term * number, np.where(sign == MINUS, -number, number))
        total = np.where(valid[:, step], new_total % MODULUS, total)
        term = np.where(valid[:, step], new_term % MODULUS, term)
    return (total + term) % MODULUS
