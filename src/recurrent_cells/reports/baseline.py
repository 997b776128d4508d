"""Values to which a sweep is held: of a configuration in the store, or written to a file before."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path

from recurrent_cells.errors import UserError
from recurrent_cells.paths import of_user
from recurrent_cells.reports.configurations import Configuration, best, configurations, settings_of
from recurrent_cells.sweeps.results import SweepData, read_sweeps
from recurrent_cells.tracking.queries import TrialRecord, latest_by_fingerprint, trial_records, unpruned
from recurrent_cells.tracking.registry import CHAMPION, find_champions
from recurrent_cells.tracking.store import Store


@dataclass(frozen=True)
class Baseline:
    """The test values of one configuration on one data block.

    Args:
        settings: all that decides a result but the seed.
        values: by the fingerprint of the trial; empty if only the checked sweep has trained the configuration.
        runs: the run ids of the trials.
    """

    name: str
    block: str
    metric: str
    higher_is_better: bool
    is_share: bool
    settings: Mapping[str, str]
    values: Mapping[str, float]
    runs: Sequence[str]


def baseline_of(name: str, like: TrialRecord, records: Iterable[TrialRecord]) -> Baseline:
    """The finite test values of finished trials of the configuration of a trial."""
    found = {it.fingerprint: it for it in records if it.test is not None and isfinite(it.test)}
    values = {fingerprint: record.test or 0.0 for fingerprint, record in found.items()}
    runs = [record.run_id for record in found.values()]
    judged = (like.metric, like.higher_is_better, like.is_share)
    return Baseline(name, like.block, *judged, settings_of(like), values, runs)


def find_baseline(store: Store, which: str, checked: SweepData) -> Baseline:
    """The baseline for a sweep: `champion`, a JSON file, or another sweep, of which the best by validation.

    Runs that the checked sweep stands on are no part of the baseline.

    Raises:
        UserError: if there is no such baseline.
    """
    if which.endswith(".json"):
        return read_baseline(of_user(which))
    like = _champion(store, checked) if which == CHAMPION else _best_of(store, which, checked)
    settings, own = settings_of(like), {trial.run_id for trial in checked.finished}
    others = [it for it in unpruned(trial_records(store)) if it.status == "FINISHED" and it.run_id not in own]
    same = (it for it in latest_by_fingerprint(others).values() if settings_of(it) == settings)
    return baseline_of(f"the baseline {which}", like, same)


def _champion(store: Store, checked: SweepData) -> TrialRecord:
    blocks = {trial.record.block for trial in checked.finished}
    found = [record for block, record in find_champions(store).items() if block in blocks]
    if len(found) != 1:
        fault = "several data blocks of the sweep have one" if found else "the data block of the sweep has none"
        raise UserError(f"baseline={CHAMPION}: {fault}; give a sweep's run id or a JSON file")
    return found[0]


def _best_of(store: Store, which: str, checked: SweepData) -> TrialRecord:
    everything = configurations(read_sweeps(store, which)[1])
    if not everything:
        raise UserError(f"baseline={which}: no trial of that sweep is finished")
    blocks = {trial.record.block for trial in checked.finished}
    shared = [one for one in everything if one.block in blocks]
    if len(found := sorted({one.block for one in shared})) > 1:
        raise UserError(
            f"baseline={which}: both sweeps have the data blocks {', '.join(found)}; give a JSON file or a sweep of one"
        )
    return best(shared or everything).trials[0].record


def find_candidate(data: SweepData, baseline: Baseline) -> Configuration:
    """The configuration of a sweep that is the baseline's, else the sweep's best by validation on its data block.

    Raises:
        UserError: if the sweep has no finished trial on that block.
    """
    on_block = [it for it in configurations(data) if it.trials[0].record.block == baseline.block]
    if not on_block:
        blocks = ", ".join(sorted({trial.record.block for trial in data.finished})) or "none"
        raise UserError(f"the baseline is of the data block {baseline.block}, finished trials of the sweep: {blocks}")
    same = [it for it in on_block if settings_of(it.trials[0].record) == baseline.settings]
    return same[0] if same else best(on_block)


def write_baseline(path: Path, baseline: Baseline) -> None:
    path.write_text(json.dumps(asdict(baseline), indent=1, sort_keys=True) + "\n")


def read_baseline(path: Path) -> Baseline:
    """Raises UserError if the file is not what `write_baseline` writes."""
    try:
        read = Baseline(**json.loads(path.read_text()))
        if not read.values or not all(isfinite(value) for value in read.values.values()):
            raise ValueError("it has no values, or one that is not finite")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"baseline={path}: not a file that write= makes ({error})") from None
    return read
