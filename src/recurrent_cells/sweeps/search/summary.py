"""What a search says at its end, and before its start."""

from collections.abc import Mapping, Sequence

from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.sweeps.search.objectives import front
from recurrent_cells.sweeps.search.settings import SearchSettings
from recurrent_cells.sweeps.summary import summary as table_of
from recurrent_cells.sweeps.view import table
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.queries import TrialRecord

MOST_ROWS = 10


def summary(search: SearchSettings, trials: Sequence[Trial], records: Mapping[str, TrialRecord]) -> str:
    """The best finished trials by validation or, of several objectives, on the Pareto front; what pruning saved."""
    known = {trial.fingerprint: records[trial.fingerprint] for trial in trials if trial.fingerprint in records}
    finished = [trial for trial in trials if _is_whole(known.get(trial.fingerprint))]
    several = len(search.objectives) > 1
    best = {record.run_id for record in front([known[it.fingerprint] for it in finished], search.objectives)}
    shown = [trial for trial in finished if not several or known[trial.fingerprint].run_id in best]
    ranked = sorted(shown, key=lambda trial: known[trial.fingerprint].rank, reverse=True)
    pruned = [trial for trial in trials if trial.fingerprint in known and known[trial.fingerprint].pruned]
    lines = [table_of(ranked[:MOST_ROWS], known)] if ranked else []
    counts = [f"{len(trials)} trials tried", f"{len(finished)} trained in full"]
    if several:
        counts.append(f"{len(ranked)} on the front of {' and '.join(search.objectives)}")
    if search.prunes:
        budget = sum(trial.steps for trial in (*finished, *pruned))
        spent = sum(trial.steps for trial in finished)
        spent += sum(int(known[trial.fingerprint].tags[Tag.PRUNED]) for trial in pruned)
        saved = f", which saved {1 - spent / budget:.0%} of the training steps" if budget else ""
        counts.append(f"{len(pruned)} pruned{saved}")
    if len(ranked) > MOST_ROWS:
        counts.append(f"the best {MOST_ROWS} are shown")
    return "\n".join([*lines, "", "; ".join(counts)])


def known_so_far(rows: Sequence[Sequence[str]], search: SearchSettings) -> str:
    """What a dry run prints: the trials there are and how many are to be proposed.

    Args:
        rows: a header and a row for each trial, its state last.
    """
    states = [row[-1] for row in rows[1:]]
    done = sum(state in ("finished", "pruned") for state in states)
    new = max(0, search.n_trials - len(states))
    counts = f"{done} to be left out, {len(states) - done} to run, {new} to be proposed by {search.sampler}"
    return "\n".join([*(table(rows) if states else []), f"{len(states) + new} trials: {counts}; nothing started"])


def _is_whole(record: TrialRecord | None) -> bool:
    return record is not None and record.status == "FINISHED" and not record.pruned
