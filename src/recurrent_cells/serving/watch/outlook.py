"""How far a search has come, and how long a sweep still takes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from recurrent_cells.sweeps.search.outline import from_json
from recurrent_cells.tracking.artifacts import read_search
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.parents import ParentRun
from recurrent_cells.tracking.store import Store

RUNNING = ("running", "stopping")
OPEN = (*RUNNING, "waiting", "scheduled")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Search:
    """A search by its proposals.

    Args:
        proposals: how many the search makes in all.
        tried: how many have come to an end; None of a search that did not count them.
        seeds: with how many a proposal is trained in full.
    """

    proposals: int
    tried: int | None
    seeds: int = 1


def search_of(store: Store, parent: ParentRun) -> Search | None:
    """The search whose parent run this is; None of a sweep that is none."""
    text = read_search(store, parent)
    if text is None:
        return None
    outline, tried = from_json(text), parent.tags.get(Tag.TRIED, "")
    return Search(outline.proposals, int(tried) if tried.isdecimal() else None, outline.settings.seeds)


def seconds_left(rows: Sequence[Row], search: Search | None) -> float | None:
    """About how long a sweep still takes with as many trials at once as now; None if that is not known.

    Args:
        rows: of the trials, as the page shows them.
    """
    running = [row for row in rows if row["state"] in RUNNING]
    known = [row["seconds"] for row in rows if row.get("seconds")]
    if not running or not known:
        return None
    typical = fmean(known)
    if search is None:
        return sum(_left(row, typical) for row in rows) / len(running)
    left = _left_of_search(rows, search, typical)
    return left and left / len(running)


def _left(row: Row, typical: float) -> float:
    """The seconds that a trial still takes, by those of a typical trial; 0 once it has ended."""
    if row["state"] in RUNNING:
        return typical / 2 if row.get("left") is None else float(row["left"])
    return typical if row["state"] == "waiting" else 0.0


def _left_of_search(rows: Sequence[Row], search: Search, typical: float) -> float | None:
    """The seconds that all further trials take together if proposals go on to take what they took so far.

    That counts what pruning saves, further seeds, and proposals that need no training.
    """
    if not search.tried:
        return None
    proposals: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        proposals[row["configuration"]].append(row)
    is_open = {place: any(row["state"] in OPEN for row in own) for place, own in proposals.items()}
    spent = sum(row.get("seconds") or 0.0 for row in rows if not is_open[row["configuration"]])
    each = spent / search.tried
    under_way = [proposals[place] for place in proposals if is_open[place]]
    new = max(0, search.proposals - search.tried - len(under_way))
    return new * each + sum(_left_of_proposal(own, each, typical) for own in under_way)


def _left_of_proposal(rows: Sequence[Row], each: float, typical: float) -> float:
    """Seconds that a proposal still needs: those of its trials or, since seeds may be added, the rest of the usual."""
    left = sum(_left(row, typical) for row in rows)
    spent = sum(row.get("seconds") or 0.0 for row in rows)
    spent += sum(max(0.0, typical - _left(row, typical)) for row in rows if row["state"] in RUNNING)
    return max(left, each - spent)
