"""What the values of a few seeds allow one to say: intervals, paired tests, seeds needed."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
POWER = 0.8
MOST_SEEDS = 1000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds; `sd` and `half`, half the 95 % interval, are NaN with one seed."""

    mean: float
    sd: float
    half: float
    count: int


@dataclass(frozen=True)
class Comparison:
    """Two configurations on the seeds they share, `better` being the one with the better mean.

    Args:
        difference: by how much, 0 or more, in the metric's own scale; `half` is half its 95 % interval.
        effect: difference in standard deviations of the differences (d_z, Lakens 2013).
        p: of the paired t-test, `p_corrected` after Holm over all pairs; NaN with fewer than two seeds.
        needed: seeds with which such a difference would be found four times out of five; None if more than
            1,000, or if it cannot be said.
    """

    better: str
    worse: str
    seeds: tuple[int, ...]
    difference: float = math.nan
    half: float = math.nan
    effect: float = math.nan
    p: float = math.nan
    p_corrected: float = math.nan
    needed: int | None = None

    @property
    def is_separated(self) -> bool:
        return self.p_corrected < ALPHA


def mean_interval(values: ArrayLike) -> tuple[Floats, Floats]:
    """Mean and half the 95 % interval of Student's t over the last axis: (…, n) → two of (…)."""
    array = np.asarray(values, dtype=float)
    n = array.shape[-1]
    if n < 2:
        return array.mean(axis=-1), np.full(array.shape[:-1], np.nan)
    half = stats.t.ppf(1 - ALPHA / 2, n - 1) * array.std(axis=-1, ddof=1) / math.sqrt(n)
    return array.mean(axis=-1), np.asarray(half)


def paired_p(differences: ArrayLike) -> Floats:
    """Two-sided p of the paired t-test over the last axis: (…, n) → (…).

    NaN with fewer than two differences. 1 where all are equal: accuracies are multiples of one image, so equal
    differences tell of coarseness rather than of certainty.
    """
    array = np.asarray(differences, dtype=float)
    n = array.shape[-1]
    if n < 2:
        return np.full(array.shape[:-1], np.nan)
    sd = array.std(axis=-1, ddof=1)
    varies = sd > 1e-12 * np.maximum(1, np.abs(array).max(axis=-1))
    t = array.mean(axis=-1) / (np.where(varies, sd, 1) / math.sqrt(n))
    return np.where(varies, 2 * stats.t.sf(np.abs(t), n - 1), 1.0)


def holm(p: ArrayLike) -> Floats:
    """Holm's step-down correction over the last axis, leaving NaN out: (…, m) → (…, m) (Holm 1979)."""
    array = np.asarray(p, dtype=float)
    tested = (~np.isnan(array)).sum(axis=-1, keepdims=True)
    order = np.argsort(array, axis=-1)  # NaN last
    factors = np.maximum(tested - np.arange(array.shape[-1]), 1)
    stepped = np.maximum.accumulate(np.take_along_axis(array, order, axis=-1) * factors, axis=-1)
    corrected = np.empty_like(array)
    np.put_along_axis(corrected, order, np.minimum(stepped, 1), axis=-1)
    return corrected


def seeds_needed(effect: float, pairs: int = 1) -> int | None:
    """Seeds with which a paired t-test at 0.05 / `pairs` finds an effect d_z four times out of five.

    None if that is more than 1,000, or if there is no effect.
    """
    if not math.isfinite(effect) or effect == 0:
        return None
    counts = range(2, MOST_SEEDS + 1)  # power grows with the number of seeds
    place = bisect_left(counts, True, key=lambda n: _power(effect, n, pairs) >= POWER)
    return counts[place] if place < len(counts) else None


def _power(effect: float, n: int, pairs: int) -> float:
    critical = stats.t.ppf(1 - ALPHA / pairs / 2, n - 1)
    shift = min(abs(effect) * math.sqrt(n), 1e3)  # far beyond, the non-central t is 1 but for rounding
    return float(stats.nct.sf(critical, n - 1, shift)) if shift < 30 + critical else 1.0


def estimate(values: Sequence[float]) -> Estimate:
    """Mean, standard deviation and interval of one value or more."""
    mean, half = mean_interval(values)
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return Estimate(float(mean), sd, float(half), len(values))


def compare(values: Mapping[str, Mapping[int, float]], higher_is_better: bool = True) -> list[Comparison]:
    """Every pair of configurations, on the seeds both have, corrected together.

    Args:
        values: name → seed → value.
    """
    pairs = list(combinations(values, 2))
    shared = [tuple(sorted(values[a].keys() & values[b].keys())) for a, b in pairs]
    sign = 1 if higher_is_better else -1
    gains = [
        sign * np.array([values[a][seed] - values[b][seed] for seed in seeds])
        for (a, b), seeds in zip(pairs, shared, strict=True)
    ]
    p = [float(paired_p(gain)) if len(gain) else math.nan for gain in gains]
    return [
        _comparison(pair, seeds, gain, raw, float(corrected), len(pairs))
        for pair, seeds, gain, raw, corrected in zip(pairs, shared, gains, p, holm(p), strict=True)
    ]


def _comparison(
    pair: tuple[str, str], seeds: tuple[int, ...], gain: Floats, p: float, p_corrected: float, pairs: int
) -> Comparison:
    """Of `pair` by what the first gains over the second on each seed, (n,), one of so many pairs."""
    if not seeds:
        return Comparison(*pair, seeds)
    if gain.mean() < 0:
        gain, pair = -gain, (pair[1], pair[0])
    found = estimate(list(gain))
    effect = found.mean / found.sd if found.sd > 0 else math.nan
    needed = seeds_needed(effect, pairs)
    if needed is not None and not p_corrected < ALPHA:
        needed = max(needed, len(seeds) + 1)
    return Comparison(*pair, seeds, found.mean, found.half, effect, p, p_corrected, needed)
