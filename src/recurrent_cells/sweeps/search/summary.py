"""What a search says at its end, and before its start."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.sweeps.search.objectives import front, mean_rank
from recurrent_cells.sweeps.search.settings import SearchSettings
from recurrent_cells.sweeps.summary import summary as table_of
from recurrent_cells.sweeps.view import counted, table
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.queries import TrialRecord

MOST_ROWS = 10


def summary(search: SearchSettings, trials: Sequence[Trial], records: Mapping[str, TrialRecord]) -> str:
    """The best finished trials by validation or, of several objectives, on the Pareto front; what pruning saved."""
    known = {trial.fingerprint: records[trial.fingerprint] for trial in trials if trial.fingerprint in records}
    points: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        points[trial.configuration].append(trial)
    finished = [trial for trial in trials if _is_whole(known.get(trial.fingerprint))]
    pruned = [trial for trial in trials if trial.fingerprint in known and known[trial.fingerprint].pruned]
    full = [seeds for seeds in points.values() if len(seeds) >= search.seeds and set(seeds) <= set(finished)]
    shown, several = full, len(search.objectives) > 1
    if several:
        runs = [[known[trial.fingerprint] for trial in seeds] for seeds in full]
        shown = [seeds for seeds, is_best in zip(full, front(runs, search.objectives), strict=True) if is_best]
    ranked = sorted(shown, key=lambda seeds: mean_rank([known[it.fingerprint] for it in seeds]), reverse=True)
    lines = [table_of([trial for seeds in ranked[:MOST_ROWS] for trial in seeds], known)] if ranked else []
    counts = [f"{counted(len(points), 'point' if search.seeds > 1 else 'trial')} tried", f"{len(full)} trained in full"]
    if search.seeds > 1:
        counts[-1] += f" with {search.seeds} seeds each"
        given_up = [seeds for seeds in points.values() if len(seeds) == 1 and seeds[0] in finished]
        counts.append(f"{len(given_up)} given up after the first seed")
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


def known_so_far(rows: Sequence[Sequence[str]], new: int, search: SearchSettings) -> str:
    """What a dry run prints: the trials there are and how many are to be proposed.

    Args:
        rows: a header and a row for each trial, its state last.
        new: how many points the search would propose.
    """
    states = [row[-1] for row in rows[1:]]
    done = sum(state in ("finished", "pruned") for state in states)
    counts = f"{done} to be left out, {len(states) - done} to run, {new} to be proposed by {search.sampler}"
    counts += f", each with up to {search.seeds} seeds" if search.seeds > 1 else ""
    return "\n".join([*(table(rows) if states else []), f"{len(states) + new} trials: {counts}; nothing started"])


def _is_whole(record: TrialRecord | None) -> bool:
    return record is not None and record.status == "FINISHED" and not record.pruned
