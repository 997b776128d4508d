"""The networks that answer: one scores images or series, and one of each cell is watched step by step."""

from collections.abc import Sequence
from dataclasses import dataclass

from recurrent_cells.errors import UserError
from recurrent_cells.inference.trained import BEST, Trained, find_winner, find_winners, load_trained
from recurrent_cells.sweeps.results import LATEST, read_sweeps
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.queries import TrialRecord, best_by_validation, trial_records
from recurrent_cells.tracking.registry import CHAMPION
from recurrent_cells.tracking.store import Store


@dataclass(frozen=True)
class Models:
    """The networks that a server holds.

    Args:
        scoring: the network that answers scoring requests; `choice` says how it was chosen, champion or best.
        by_cell: the networks watched step by step; all take what `scoring` takes.
        left_out: cell → the reason why no network of it, of those that were trained, is among them.
    """

    scoring: Trained
    choice: str
    by_cell: dict[str, Trained]
    left_out: dict[str, str]

    @property
    def reasons(self) -> dict[str, list[str]]:
        """reason → the cells that are left out for it."""
        found: dict[str, list[str]] = {}
        for cell, reason in self.left_out.items():
            found.setdefault(reason, []).append(cell)
        return found


def load_models(store: Store) -> Models:
    """Networks of the data block on which the latest sweep was, or the latest trial where there is no sweep.

    The champion scores, or the best where there is none; of each cell the best of the latest sweep is watched, else of
    all on the block. Cells come in the order in which they were trained.

    Raises:
        UserError: if no trial is finished, or the network that scores cannot be loaded.
    """
    latest, everything = _latest_sweep(store), trial_records(store)
    choice, winner = _scoring(store, [*latest, *reversed(everything)])
    scoring = load_trained(store, winner)
    of_block = [[it for it in records if it.block == winner.block] for records in (latest, everything)]
    by_cell: dict[str, Trained] = {}
    left_out: dict[str, str] = {}
    cells = dict.fromkeys(record.tags.get(Tag.CELL, "") for records in (*of_block, everything) for record in records)
    for cell in filter(None, cells):  # those of extensions are known once their trial is loaded
        of_cell = ([it for it in records if it.tags.get(Tag.CELL) == cell] for records in of_block)
        record = next(filter(None, map(best_by_validation, of_cell)), None)
        if record is None:
            if any(it.tags.get(Tag.CELL) == cell for it in everything):
                left_out[cell] = f"no trial of it is finished on the data of {winner.name}"
            continue
        try:
            trained = load_trained(store, record)
            _check_steps(trained, scoring)
        except UserError as error:
            left_out[cell] = f"{record.name}: {error}"
        else:
            by_cell[cell] = trained
    return Models(scoring, choice, by_cell, left_out)


def _scoring(store: Store, latest: Sequence[TrialRecord]) -> tuple[str, TrialRecord]:
    """The network that scores and why: the champion, else the best, of the first of these trials' blocks with one."""
    winners = {choice: find_winners(store, choice) for choice in (CHAMPION, BEST)}
    found = ((it, winners[it][trial.block]) for trial in latest for it in winners if trial.block in winners[it])
    return next(found, None) or (BEST, find_winner(store, BEST))


def _latest_sweep(store: Store) -> Sequence[TrialRecord]:
    try:
        return [trial.record for trial in read_sweeps(store, LATEST)[1].finished]
    except UserError:  # no sweep yet
        return []


def _check_steps(trained: Trained, scoring: Trained) -> None:
    """Raises UserError if a network has no answer after each row or step, or takes or answers other than `scoring`."""
    if trained.config.data.sequence != "rows":
        raise UserError(f"data.sequence={trained.config.data.sequence}: it does not read row by row")
    if (trained.takes, trained.names) != (scoring.takes, scoring.names):
        raise UserError(f"it takes {trained.takes} and has {trained.num_outputs} outputs, unlike {scoring.record.name}")
    if trained.task.has_classes != scoring.task.has_classes:
        raise UserError(f"task={trained.task.name}: it answers otherwise than {scoring.record.name}")
    trained.check_steps()
