"""What a search chooses from: ranges whose ends are checked before anything starts."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import product
from math import prod
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig

from recurrent_cells.config.messages import explain
from recurrent_cells.config.schema import block_keys
from recurrent_cells.errors import UserError
from recurrent_cells.sweeps.grid import Composer, Point, as_text, check_count, raise_together, read_overrides
from recurrent_cells.sweeps.search.ranges import Range, Value, read_range


class Space:
    """The ranges of a search by key, and the overrides that all its trials share."""

    def __init__(self, compose: Composer, fixed: Sequence[str], ranges: Mapping[str, Range]) -> None:
        self._compose = compose
        self.fixed = tuple(fixed)
        self.ranges = dict(ranges)

    def point(self, texts: Mapping[str, str]) -> Point:
        """The trial of one value for each key.

        Raises:
            UserError: if its config will not do.
        """
        overrides = (*self.fixed, *(f"{key}={texts[key]}" for key in self.ranges))
        try:
            return Point(overrides, dict(texts), self._compose(overrides))
        except Exception as error:  # a choice that does not exist raises ValueError, others Hydra's own
            raise UserError(explain(error)) from None

    def texts(self, values: Mapping[str, Value]) -> dict[str, str]:
        """Sampled values as they are used."""
        return {key: range_.text(values[key]) for key, range_ in self.ranges.items()}

    def values(self, texts: Mapping[str, str]) -> dict[str, Value]:
        """Used values as a sampler knows them."""
        return {key: range_.value(texts[key]) for key, range_ in self.ranges.items()}

    def corners(self) -> list[Point]:
        """Every end and choice of each range, the other keys at their first; raises UserError as `point`, for all."""
        first = {key: range_.ends[0] for key, range_ in self.ranges.items()}
        points, faults = [], []
        others = [first | {key: end} for key, range_ in self.ranges.items() for end in range_.ends if end != first[key]]
        for texts in [first, *others]:
            try:
                points.append(self.point(texts))
            except UserError as error:
                faults.append(str(error))
        raise_together(dict.fromkeys(faults))
        return points

    def grid(self, seed: int) -> list[dict[str, Value]]:
        """All combinations, shuffled by the seed.

        Raises:
            UserError: if a range is continuous.
        """
        continuous = [key for key, range_ in self.ranges.items() if not range_.steps]
        if continuous:
            raise UserError(
                f"hydra.sweeper.sampler=grid: {', '.join(continuous)} has no steps; "
                "give choices (a,b or range(0,3)), or another sampler"
            )
        check_count(prod(len(range_.steps) for range_ in self.ranges.values()), "hydra.sweeper.sampler=grid")
        combinations = product(*(range_.steps for range_ in self.ranges.values()))
        points = [dict(zip(self.ranges, values, strict=True)) for values in combinations]
        random.Random(seed).shuffle(points)
        return points

    def described(self) -> dict[str, dict[str, Any]]:
        """The ranges by key, sorted, as plain values."""
        return {key: asdict(self.ranges[key]) for key in sorted(self.ranges)}


def read_space(
    config_loader: ConfigLoader, master: DictConfig, params: Mapping[str, str], arguments: Sequence[str]
) -> Space:
    """The space that the command line and `hydra.sweeper.params` describe, `arguments` replacing `params` by key.

    Raises:
        UserError: if there is no range, or one makes no sense.
    """
    fixed: dict[str, str] = {}
    ranges: dict[str, Range] = {}
    faults: list[str] = []
    for key, override in read_overrides(config_loader, params, arguments).items():
        if not override.is_sweep_override():
            fixed[key] = as_text(key, override)
            continue
        if key == "data" or key in block_keys():
            faults.append(f"{override.input_line}: data blocks do not compete; search on one, or give a grid of them")
            continue
        try:
            ranges[key] = read_range(key, override)
        except UserError as error:
            faults.append(f"{override.input_line}: {error}")
    raise_together(faults)
    if not ranges:
        raise UserError("a search needs a range: KEY=interval(LOW,HIGH), int(interval(LOW,HIGH)), choice(A,B) or A,B")
    return Space(Composer(config_loader, master), tuple(fixed.values()), ranges)
