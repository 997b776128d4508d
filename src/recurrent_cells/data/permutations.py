"""The orders in which the pixels of permuted images are read: the literature has several, all called psMNIST."""

import re

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.config.schema import allowed
from recurrent_cells.data.arrays import DAMAGE, in_words, read_npy
from recurrent_cells.errors import UserError
from recurrent_cells.paths import kind, of_user

NONE = "none"
# Bit reversal: HiPPO, S4, S5; torch's with seed 12008: coRNN, with 5544: LEM; NumPy's with 92916: expRNN, with 0: LMU.
DRAWN = re.compile(r"(torch|numpy)_(\d{1,10})")


def permutation(name: str, size: int) -> NDArray[np.int64] | None:
    """Which pixel is read first, second, … of so many; None for `none`.

    `torch_SEED` is `torch.randperm` after `torch.manual_seed(SEED)`, `numpy_SEED` is `RandomState(SEED).permutation`;
    `bit_reversal` has the numbers in the order of their binary digits read backwards; else `name` is a file, .npy or
    text, of all numbers from 0.

    Raises:
        UserError: if the file cannot be read, or is no permutation of this size.
    """
    if name == NONE:
        return None
    if name == "bit_reversal":
        width = max(size - 1, 1).bit_length()
        backwards = (int(f"{number:0{width}b}"[::-1], 2) for number in range(1 << width))
        return np.array([number for number in backwards if number < size], dtype=np.int64)
    if drawn := DRAWN.fullmatch(name):
        library, seed = drawn[1], int(drawn[2])
        if library == "numpy" and seed < 2**32:
            return np.random.RandomState(seed).permutation(size).astype(np.int64)
        if library == "torch":
            import torch  # here: examples are read without torch

            return torch.randperm(size, generator=torch.Generator().manual_seed(seed)).numpy()
    return _from_file(name, size)


def _from_file(name: str, size: int) -> NDArray[np.int64]:
    path = of_user(name)
    if kind(path) != "file":
        raise UserError(f"data.permutation={name}: no such file; allowed is {allowed('data.permutation')}")
    try:
        numbers = read_npy(path) if path.suffix == ".npy" else np.array(path.read_text().split(), dtype=np.int64)
    except (OSError, *DAMAGE) as error:
        raise UserError(f"data.permutation={name}: cannot be read ({str(error)[:100]})") from None
    if (
        numbers.dtype.kind not in "iuf"
        or numbers.shape != (size,)
        or not np.array_equal(np.sort(numbers), np.arange(size))
    ):
        shape = in_words(numbers.shape) or "1"
        raise UserError(
            f"data.permutation={name}: {shape} numbers, not 0 to {size - 1} (the pixels of an image), each once"
        )
    return numbers.astype(np.int64)
