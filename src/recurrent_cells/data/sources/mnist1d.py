"""MNIST-1D."""

from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.sources import Part, Source

# The digits as lines of twelve heights, as drawn in the paper's figure.
DIGITS = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)
EXAMPLES, TRAINING, NUM_STEPS = 5000, 4000, 40
# Steps of nothing after a digit, steps before they are thinned out, and the most that they are shifted by.
FEWEST_BLANKS, MOST_BLANKS, FINE_STEPS, MOST_SHIFTED = 36, 60, 72, 48
SCALING, SHEAR, SMOOTH_NOISE, NOISE, SMOOTHNESS = 0.4, 0.75, 0.25, 0.02, 2


class Mnist1d(Source):
    """Ten digits as lines that are stretched, shifted, sheared and noisy (Greydanus & Kobak 2024, 2011.14439).

    4,000 and 1,000 lines of 40 steps, drawn as the package `mnist1d` draws them: `data.split_seed=42` gives the
    published ones. Who guesses is right in 1 of 10.
    """

    name = "mnist1d"
    keys = ("split_seed",)
    naive = MappingProxyType({"test/acc": 1 / 10})

    def load(self, data: DataConfig) -> list[Part]:
        random = np.random.RandomState(data.split_seed)
        labels = np.repeat(np.arange(len(DIGITS)), EXAMPLES // len(DIGITS))
        lines = _lines()
        values = np.stack([_drawn(lines[label], random) for label in labels])
        order = random.permutation(EXAMPLES)
        values = ((values - values.mean()) / values.std())[order, :, None].astype(np.float32)
        labels = labels[order]
        parts = (slice(TRAINING), slice(TRAINING, None))
        return [Part(values[part], labels[part], f"data={self.name}") for part in parts]


def _lines() -> NDArray[np.float64]:
    """The digits (10, 12) at one scale, each from 0."""
    heights = np.array(DIGITS)
    heights = (heights - heights.mean(axis=1, keepdims=True)) / heights.std(axis=1, keepdims=True)
    return (heights - heights[:, :1]) / 6


def _drawn(line: NDArray[np.float64], random: np.random.RandomState) -> NDArray[np.float64]:
    """One example (40,) of a digit's line."""
    from scipy.ndimage import gaussian_filter1d

    blanks = FEWEST_BLANKS + int(random.rand() * (MOST_BLANKS - FEWEST_BLANKS + 1))
    # A line is nowhere quite 0, so that what is 0 is blank.
    fine = _of_steps(np.concatenate([line + 1e-8, np.zeros(blanks)]), FINE_STEPS)
    fine = fine * (1 + SCALING * (random.rand() - 0.5))
    fine = np.roll(fine, random.choice(MOST_SHIFTED))
    smooth = gaussian_filter1d(SMOOTH_NOISE * random.randn(FINE_STEPS), SMOOTHNESS)
    fine = np.where(fine != 0, fine, smooth) + NOISE * random.randn(FINE_STEPS)
    fine = fine - SHEAR * (random.rand() - 0.5) * np.linspace(-0.5, 0.5, FINE_STEPS)
    return _of_steps(fine, NUM_STEPS)


def _of_steps(line: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """A line at so many steps from its beginning to its end."""
    return np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(line)), line)
