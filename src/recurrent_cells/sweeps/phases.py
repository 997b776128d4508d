"""A sweep in two phases: the first chooses among settings by validation, the second compares what was chosen."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from statistics import mean

from recurrent_cells.errors import UserError
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.sweeps.stages import Records, Stage
from recurrent_cells.sweeps.view import say
from recurrent_cells.tracking.artifacts import Question

# Values of keys, by which trials are told apart.
Values = tuple[tuple[str, str], ...]


class Tuning(Stage):
    """Adds to the trials of the first phase those of the second that have the settings it chose.

    Args:
        trials: of the first phase, with seeds of their own.
        compared: of the second phase, of all settings.
        keys: what is chosen: the keys that vary in the first phase alone.
    """

    def __init__(self, trials: Sequence[Trial], compared: Sequence[Trial], keys: Collection[str]) -> None:
        self.trials, self._compared, self._keys = trials, compared, keys
        self._chosen: list[Trial] = []

    def more(self, trials: Sequence[Trial], records: Records) -> list[Trial]:
        if self._chosen:
            return []
        self._chosen = self._choice(records)
        for words in dict.fromkeys(_text((*self._rest(it), *self._settings(it))) for it in self._chosen):
            say(f"chosen by validation: {words}")
        return list(self._chosen)

    def question(self) -> Question:
        chosen, tuning = ([trial.fingerprint for trial in trials] for trials in (self._chosen, self.trials))
        return Question("done", [], 0.0, 0, chosen, tuning, list(self._keys))

    @property
    def refused(self) -> list[str]:
        lost = {self._rest(trial) for trial in self._compared} - {self._rest(trial) for trial in self._chosen}
        return [f"{_text(rest) or 'the sweep'}: no trial of the first phase finished" for rest in sorted(lost)]

    def _choice(self, records: Records) -> list[Trial]:
        """The trials of the second phase with the best settings by mean validation value.

        Settings of which more trials failed than of others are not chosen.
        """
        groups: dict[Values, dict[Values, list[float]]] = defaultdict(lambda: defaultdict(list))
        for trial in self.trials:
            record = records.get(trial.fingerprint)
            if record is not None and record.status == "FINISHED":
                groups[self._rest(trial)][self._settings(trial)].append(record.rank[1])
        best = {}
        for rest, found in groups.items():
            most = max(map(len, found.values()))
            best[rest] = max((it for it in found if len(found[it]) == most), key=lambda it: mean(found[it]))
        return [trial for trial in self._compared if best.get(self._rest(trial)) == self._settings(trial)]

    def _settings(self, trial: Trial) -> Values:
        return tuple((key, value) for key, value in trial.varied.items() if key in self._keys)

    def _rest(self, trial: Trial) -> Values:
        """What the first phase varies besides: for each such configuration settings are chosen."""
        besides = self.trials[0].varied.keys() - {*self._keys, "seed"}
        return tuple((key, value) for key, value in trial.varied.items() if key in besides)


def check_phases(tuning: Sequence[Trial], compared: Sequence[Trial]) -> None:
    """Raises UserError if a seed is in both phases: what chose a setting would take part in judging the setting."""
    shared = {trial.config.seed for trial in tuning} & {trial.config.seed for trial in compared}
    if shared:
        raise UserError(f"sweep.phases: seed={min(shared)} is in both phases; give each seeds of its own")


def _text(values: Values) -> str:
    return " ".join(f"{key}={value}" for key, value in values)
