"""Check that a sweep is not worse than a baseline: [sweep=latest] [baseline=champion] [margin=0.2]."""

import sys
from collections.abc import Sequence

from recurrent_cells.cli.arguments import Arguments, run_command
from recurrent_cells.config.rules import number
from recurrent_cells.errors import UserError
from recurrent_cells.imports import uncollected
from recurrent_cells.paths import of_user

KEYS = {
    "sweep": "latest, a sweep's run id or its beginning",
    "baseline": "champion (its configuration with all seeds in the store), a sweep's run id, or a JSON file of write=",
    "margin": "how much worse is as good as equal: in points of an accuracy, else in the metric's unit",
    "junit": "a file for the answer as JUnit XML",
    "write": "a JSON file for the values that were checked, a baseline for later",
}


def main(arguments: Sequence[str]) -> None:
    """Exits with 0 if the sweep is not worse, 1 if it is, 3 if that is undecided, 2 on bad input."""
    run_command(__doc__, KEYS, arguments, _check)


def _check(arguments: Arguments) -> None:
    margin = arguments.number("margin", number(0)) or 0.0

    with uncollected():
        from recurrent_cells.config.schema import EXPERIMENT
        from recurrent_cells.reports.baseline import baseline_of, find_baseline, find_candidate, write_baseline
        from recurrent_cells.reports.check import as_junit, check
        from recurrent_cells.sweeps.results import LATEST, read_sweeps
        from recurrent_cells.tracking.store import open_store

    store, data = read_sweeps(open_store(EXPERIMENT, reading=True), arguments.get("sweep") or LATEST)
    if not data.finished:
        raise UserError(f"sweep={arguments.get('sweep') or LATEST}: no trial is finished")
    baseline = find_baseline(store, arguments.get("baseline") or "champion", data)
    candidate = find_candidate(data, baseline)
    records = [trial.record for trial in candidate.trials]
    found = baseline_of(candidate.label, records[0], records)
    new = {it.fingerprint for it in records if it.run_id not in baseline.runs}
    checked = check(candidate.label, {it: value for it, value in found.values.items() if it in new}, baseline, margin)
    print(checked.sentence)
    try:
        if (junit := arguments.get("junit")) is not None:
            of_user(junit).write_text(as_junit(checked))
        if (written := arguments.get("write")) is not None:
            write_baseline(of_user(written), found)
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be written ({error.strerror})") from None
    sys.exit(checked.answer)
