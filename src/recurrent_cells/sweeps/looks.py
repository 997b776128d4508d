"""A sweep that adds seeds, look by look, until each pair of configurations is decided."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from math import isfinite, nan
from statistics import mean

from recurrent_cells.config.schema import SweepConfig
from recurrent_cells.errors import UserError
from recurrent_cells.statistics.looks import Decisions, Kind, decide
from recurrent_cells.sweeps.feeds import Feed
from recurrent_cells.sweeps.parent import Parent, write_plan
from recurrent_cells.sweeps.plan import Trial, to_run
from recurrent_cells.sweeps.view import counted, say
from recurrent_cells.tracking.artifacts import Question, read_question, write_question
from recurrent_cells.tracking.parents import read_parent
from recurrent_cells.tracking.patience import patiently
from recurrent_cells.tracking.queries import TrialRecord, latest_by_fingerprint, trial_records, unpruned
from recurrent_cells.tracking.store import Store

# What the store knows of trials, by fingerprint.
Records = Mapping[str, TrialRecord]


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

    def test_values(self, records: Records) -> list[float]:
        """A value for each seed; NaN for a trial that failed, whose seed is used."""
        values = [_finished(records, trial) for trial in self.trials]
        return [nan if record is None or record.test is None else record.test for record in values]

    def rank(self, records: Records) -> float:
        """The mean validation value of the first look, the higher the better; -inf if a trial has none."""
        ranks = [record.rank[1] if (record := _finished(records, trial)) else nan for trial in self.trials]
        return mean(ranks) if all(map(isfinite, ranks)) else float("-inf")


class LookFeed(Feed):
    """The trials of the first look, then those of further seeds for each configuration with an open pair.

    Decisions follow from the values of finished trials alone: given again after a kill, the sweep comes to the same
    looks. Of each cell the configuration that is best by validation at the first look is compared, in each data
    block; configurations of one cell are all compared.

    Args:
        first: the trials of the first look, the same seeds of each configuration (`check_first_look`).
        tuning: the trials of an earlier phase, which are in the plan only.
    """

    def __init__(
        self,
        first: Sequence[Trial],
        store: Store,
        parent: Parent,
        settings: SweepConfig,
        tuning: Sequence[Trial] = (),
    ) -> None:
        super().__init__()
        self._tuning = tuning
        self._store, self._parent, self._settings = store, parent, settings
        self._growths = configurations(first)
        self._seeds = [trial.config.seed for trial in next(iter(self._growths.values())).trials]
        known = patiently(lambda: read_question(store, read_parent(store, parent.run_id)), store.patience)
        self._chosen = known.chosen if known is not None and known.seeds == self._seeds else []
        self._under_way: set[str] = set()
        self._done = False

    @property
    def trials(self) -> Sequence[Trial]:
        return [trial for growth in self._growths.values() for trial in growth.trials]

    def ask(self) -> Sequence[Trial]:
        self._done |= any(outcome.status == "queued" for outcome in self.outcomes.values())
        if self._done or self._under_way - self.outcomes.keys():
            return []
        records = patiently(self._records, self._store.patience)
        while not (todo := self._todo(records)) and not self._done:
            self._done = self._settings.rerun == "failed" or not self._grow(records)
        self._under_way |= {trial.fingerprint for trial in todo}
        return [trial.below(self._parent.run_id, self._parent.earlier) for trial in todo]

    def disconnect(self) -> None:
        """Nothing: no connection is open."""

    def close(self) -> None:
        """Nothing: all trials are known."""

    @property
    def done(self) -> bool:
        return self._done

    @property
    def waiting(self) -> int:
        return 0

    def _records(self) -> Records:
        return latest_by_fingerprint(unpruned(trial_records(self._store)), self._parent.earlier)

    def _todo(self, records: Records) -> list[Trial]:
        missing = to_run(self.trials, records, self._settings.rerun)
        return [trial for trial in missing if trial.fingerprint not in self.outcomes]

    def _grow(self, records: Records) -> bool:
        """Look at what is known and add the seeds that are wanted; whether there are any."""
        if not self._chosen:
            self._chosen = [growth.trials[0].fingerprint for growth in self._choice(records)]
        more: list[Trial] = []
        for growths in self._blocks(records):
            found = self._decisions(growths, records)
            wanted = [growth for growth in growths if growth.label in found.wanted] if found.next_look else []
            say(remark(found))
            more += [trial for growth in wanted for trial in growth.to(found.next_look or 0)]
        patiently(self._keep, self._store.patience)
        return bool(more)

    def _choice(self, records: Records) -> Iterator[Growth]:
        """The configurations to compare."""
        by_cell: dict[tuple[str, str], list[Growth]] = defaultdict(list)
        for growth in self._growths.values():
            by_cell[_block(growth, records), growth.trials[0].config.model.cell].append(growth)
        blocks = [block for block, _ in by_cell]
        for (block, _), growths in by_cell.items():
            best = max(growths, key=lambda growth: growth.rank(records))
            yield from growths if blocks.count(block) == 1 else [best]

    def _blocks(self, records: Records) -> list[list[Growth]]:
        """The configurations that are compared, by data block."""
        blocks: dict[str, list[Growth]] = defaultdict(list)
        for growth in self._growths.values():
            if growth.trials[0].fingerprint in self._chosen:
                blocks[_block(growth, records)].append(growth)
        return list(blocks.values())

    def _decisions(self, growths: Sequence[Growth], records: Records) -> Decisions:
        settings, judged = self._settings, next(iter(records.values()))
        values = {growth.label: growth.test_values(records) for growth in growths}
        margin = settings.margin / 100 if judged.is_share else settings.margin
        return decide(values, margin, len(self._seeds), settings.max_seeds, judged.higher_is_better)

    def _keep(self) -> None:
        """Have the plan, and what the decisions are made of, with the parent."""
        settings = self._settings
        tuning = [trial.fingerprint for trial in self._tuning]
        asked = Question("decided", self._seeds, settings.margin, settings.max_seeds, self._chosen, tuning)
        write_question(self._store, self._parent.run_id, asked)
        write_plan(self._store, self._parent.run_id, [*self._tuning, *self.trials])


def check_first_look(trials: Sequence[Trial], settings: SweepConfig) -> None:
    """Raises UserError if there is nothing to decide, or seeds with which nothing can be decided."""
    growths = configurations(trials)
    seeds = [[trial.config.seed for trial in growth.trials] for growth in growths.values()]
    if len(growths) < 2:
        raise UserError("sweep.until=decided: there is one configuration and nothing to compare it with; give another")
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


def remark(found: Decisions) -> str:
    """What a look came to, in a line."""
    parts = []
    for pair in found.pairs:
        better, worse = pair.comparison.better, pair.comparison.worse
        words = {Kind.BETTER: "beats", Kind.EQUAL: "equals", Kind.OPEN: "or"}[pair.kind]
        parts.append(f"{better} {words} {worse}{' is open' if pair.kind is Kind.OPEN else ''}")
    at = f"after {counted(found.looks[-1], 'seed')}" if found.looks else "before the first look"
    return f"{at}: {', '.join(parts)}"


def _block(growth: Growth, records: Records) -> str:
    """The data block, as the runs have it; configurations without a finished run are in none."""
    found = (_finished(records, trial) for trial in growth.trials)
    return next((record.block for record in found if record is not None), "")


def _finished(records: Records, trial: Trial) -> TrialRecord | None:
    record = records.get(trial.fingerprint)
    return record if record is not None and record.status == "FINISHED" else None
