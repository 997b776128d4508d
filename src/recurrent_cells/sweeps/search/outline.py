"""What a search is, kept with its parent run for reports."""

import json
from dataclasses import asdict, dataclass
from math import prod

from recurrent_cells.sweeps.search.ranges import Range, from_plain
from recurrent_cells.sweeps.search.settings import SearchSettings
from recurrent_cells.sweeps.search.space import Space


@dataclass(frozen=True)
class Outline:
    """The ranges of a search by key, and its settings."""

    ranges: dict[str, Range]
    settings: SearchSettings

    @property
    def proposals(self) -> int:
        """How many the search makes: of a grid no more than there are combinations."""
        if self.settings.sampler != "grid":
            return self.settings.n_trials
        return min(self.settings.n_trials, prod(len(range_.steps) for range_ in self.ranges.values()))


def as_json(space: Space, settings: SearchSettings) -> str:
    return json.dumps({"ranges": space.described(), "settings": asdict(settings)}, indent=1)


def from_json(text: str) -> Outline:
    """What `as_json` wrote."""
    content = json.loads(text)
    ranges = {key: from_plain(plain) for key, plain in content["ranges"].items()}
    settings = content["settings"]
    return Outline(ranges, SearchSettings(**settings | {"objectives": tuple(settings["objectives"])}))
