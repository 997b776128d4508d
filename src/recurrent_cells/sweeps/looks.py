"""A sweep that adds seeds, look by look, until each pair of configurations is decided."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from math import isfinite, nan
from statistics import mean

from recurrent_cells.config.schema import SweepConfig
from recurrent_cells.errors import UserError
from recurrent_cells.statistics.looks import Decisions, Kind, decide
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.sweeps.stages import Records, Stage
from recurrent_cells.sweeps.view import counted, say
from recurrent_cells.tracking.artifacts import Question
from recurrent_cells.tracking.queries import TrialRecord
from recurrent_cells.tracking.steering import DECIDED, seeds_asked_for


@dataclass
class Growth:
    """The trials of one configuration in the order in which its seeds are added."""

    trials: list[Trial]

    def to(self, size: int) -> list[Trial]:
        """Grow to so many seeds, the smallest that are not used; the new trials."""
        used = {trial.config.seed for trial in self.trials}
        unused = (seed for seed in count() if seed not in used)
        more = [self.trials[0].with_seed(seed) for seed in islice(unused, size - len(self.trials))]
        self.trials += more
        return more

    @property
    def label(self) -> str:
        varied = {key: value for key, value in self.trials[0].varied.items() if key != "seed"}
        return " ".join(varied.values()) or self.trials[0].config.model.cell

    def finished(self, records: Records) -> list[TrialRecord]:
        """The finished runs of the trials."""
        found = (records.get(trial.fingerprint) for trial in self.trials)
        return [record for record in found if record is not None and record.status == "FINISHED"]

    def test_values(self, records: Records) -> list[float]:
        """A value for each seed; NaN for a trial that failed, whose seed is used."""
        known = {record.fingerprint: record.test for record in self.finished(records)}
        values = [known.get(trial.fingerprint) for trial in self.trials]
        return [nan if value is None else value for value in values]

    def rank(self, records: Records) -> float:
        """The mean validation value, the higher the better; -inf if a trial has none."""
        ranks = [record.rank[1] for record in self.finished(records)]
        return mean(ranks) if len(ranks) == len(self.trials) and all(map(isfinite, ranks)) else float("-inf")


class Looks(Stage):
    """Adds seeds to each configuration with an open pair.

    Of each cell the configuration that is best by validation at the first look is compared, in each data block;
    configurations of one cell are all compared, as are those whose settings a phase before has chosen.

    Args:
        asked: the question as an earlier start of the sweep left it: what was chosen at the first look stays chosen.
        tuning: fingerprints of trials that chose the values of `keys` and are not compared.
    """

    def __init__(
        self, settings: SweepConfig, asked: Question | None, tuning: Sequence[str] = (), keys: Sequence[str] = ()
    ) -> None:
        self._settings, self._asked, self._tuning, self._keys = settings, asked, list(tuning), list(keys)
        self._seeds: list[int] = []
        self._chosen: list[str] = []

    def more(self, trials: Sequence[Trial], records: Records) -> list[Trial]:
        growths = list(configurations([it for it in trials if it.fingerprint not in self._tuning]).values())
        if growths and not self._seeds:
            self._seeds = [trial.config.seed for trial in growths[0].trials]
            kept = self._asked.chosen if self._asked is not None and self._asked.seeds == self._seeds else []
            compared = growths if self._tuning else chosen(growths, records, kept)
            self._chosen = [trial.fingerprint for growth in compared for trial in growth.trials]
        compared = [growth for growth in growths if growth.trials[0].fingerprint in self._chosen]
        blocks = [block for block in by_block(compared, records).values() if len(block) > 1]
        return [trial for block in blocks for trial in self._look(block, records)]

    def question(self) -> Question:
        settings = self._settings
        looked = self._seeds, settings.margin, settings.max_seeds, self._chosen
        return Question("decided", *looked, self._tuning, self._keys)

    def _look(self, growths: Sequence[Growth], records: Records) -> list[Trial]:
        """Look at the configurations of a data block; the trials of the seeds that are wanted."""
        settings, judged = self._settings, growths[0].finished(records)[0]
        values = {growth.label: growth.test_values(records) for growth in growths}
        margin = settings.margin / 100 if judged.is_share else settings.margin
        found = decide(values, margin, len(self._seeds), settings.max_seeds, judged.higher_is_better)
        say(remark(found, 100 if judged.is_share else 1))
        if found.next_look is None:
            return []
        wanted = [growth for growth in growths if growth.label in found.wanted]
        return [trial for growth in wanted for trial in growth.to(found.next_look)]


class LooksOnRequest(Looks):
    """The looks of a sweep with a fixed plan, which has them once the tags of its parent ask for more seeds.

    Args:
        tags: reads those of the parent.
    """

    def __init__(
        self,
        settings: SweepConfig,
        asked: Question | None,
        tuning: Sequence[str],
        keys: Sequence[str],
        tags: Callable[[], Mapping[str, str]],
    ) -> None:
        super().__init__(replace(settings, until=DECIDED), asked, tuning, keys)
        self._tags = tags

    @property
    def is_wanted(self) -> bool:
        return seeds_asked_for(self._tags()) is not None

    def more(self, trials: Sequence[Trial], records: Records) -> list[Trial]:
        self._settings = replace(self._settings, max_seeds=seeds_asked_for(self._tags()) or 0)
        if not self._seeds:
            try:
                check_first_look([it for it in trials if it.fingerprint not in self._tuning], self._settings)
            except UserError as error:
                say(f"no seeds are added; {error}")
                return []
        return super().more(trials, records)


def chosen(growths: Sequence[Growth], records: Records, kept: Collection[str] = ()) -> Iterator[Growth]:
    """The configurations to compare: of each cell in a data block the best by validation; of one cell, all.

    Args:
        kept: fingerprints of first trials: of a cell that has some, those configurations stay chosen.
    """
    for block in by_block(growths, records).values():
        by_cell: dict[str, list[Growth]] = defaultdict(list)
        for growth in block:
            by_cell[growth.trials[0].config.model.cell].append(growth)
        if len(by_cell) == 1:
            yield from block
            continue
        for of_cell in by_cell.values():
            before = [growth for growth in of_cell if growth.trials[0].fingerprint in kept]
            yield from before or [max(of_cell, key=lambda growth: growth.rank(records))]


def by_block(growths: Sequence[Growth], records: Records) -> dict[str, list[Growth]]:
    """The configurations that have a finished trial, by data block."""
    blocks: dict[str, list[Growth]] = defaultdict(list)
    for growth in growths:
        if finished := growth.finished(records):
            blocks[finished[0].block].append(growth)
    return blocks


def check_first_look(trials: Sequence[Trial], settings: SweepConfig) -> None:
    """Raises UserError if there is nothing to decide, or seeds with which nothing can be decided."""
    growths = configurations(trials)
    seeds = [[trial.config.seed for trial in growth.trials] for growth in growths.values()]
    blocks = Counter(growth.trials[0].block for growth in growths.values())
    if max(blocks.values()) < 2:
        data = " on the same data" if len(blocks) > 1 else ""
        raise UserError(
            f"sweep.until=decided: there is one configuration{data} and nothing to compare it with; give another"
        )
    if any(it != seeds[0] for it in seeds) or not 2 <= len(seeds[0]) <= settings.max_seeds:
        raise UserError(
            f"sweep.until=decided: the first look takes the same seeds of each configuration, from 2 to "
            f"sweep.max_seeds={settings.max_seeds}; seed=0,1,2 would do"
        )


def configurations(trials: Sequence[Trial]) -> dict[str, Growth]:
    """Trials by configuration, in the order given."""
    found: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        found[trial.configuration].append(trial)
    return {configuration: Growth(members) for configuration, members in found.items()}


def question_name(trials: Sequence[Trial], settings: SweepConfig, tuning: Sequence[Trial] = ()) -> str:
    """The name of a plan that grows; of until=decided whatever the seeds and their most."""
    decided = settings.until == "decided"
    compared = {trial.configuration if decided else trial.fingerprint for trial in trials}
    made_of = [*sorted(compared), *sorted(trial.fingerprint for trial in tuning), f"{settings.margin:g}"]
    return f"{settings.until}-{hashlib.sha256(' '.join(made_of).encode()).hexdigest()[:16]}"


def remark(found: Decisions, scale: float = 1) -> str:
    """What a look came to, in a line: each pair with the interval of the look that decided it, or of this one."""
    parts = []
    for pair in found.pairs:
        better, worse = pair.comparison.better, pair.comparison.worse
        words = {Kind.BETTER: "beats", Kind.EQUAL: "equals", Kind.OPEN: "or"}[pair.kind]
        interval = f"{scale * pair.comparison.difference:.3g} ± {scale * pair.comparison.half:.2g}"
        known = f" ({interval})" if isfinite(pair.comparison.half) else ""
        parts.append(f"{better} {words} {worse}{' is open' if pair.kind is Kind.OPEN else ''}{known}")
    at = f"after {counted(found.looks[-1], 'seed')}" if found.looks else "before the first look"
    return f"{at}: {', '.join(parts)}"
