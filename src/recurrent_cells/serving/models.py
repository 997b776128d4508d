"""The networks that answer: one scores images, and one of each cell is watched row by row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recurrent_cells.errors import UserError
from recurrent_cells.inference.trained import BEST, Trained, find_winner, find_winners, load_trained
from recurrent_cells.sweeps.results import LATEST, read_sweeps
from recurrent_cells.tables import CELLS
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.queries import TrialRecord, best_by_validation, trial_records
from recurrent_cells.tracking.registry import CHAMPION
from recurrent_cells.tracking.store import Store


@dataclass(frozen=True)
class Models:
    """The networks that a server holds.

    Args:
        scoring: the network that answers scoring requests; `choice` says how it was chosen, champion or best.
        by_cell: the networks watched row by row; all read images of one size.
        left_out: cell → the reason why no network of it is among them.
    """

    scoring: Trained
    choice: str
    by_cell: dict[str, Trained]
    left_out: dict[str, str]


def load_models(store: Store) -> Models:
    """The champion, or the best where there is none, and of each cell the best of the latest sweep, else of all.

    Where there are several data blocks, the network that scores is of the latest sweep's. Cells come in the order in
    which they were trained.

    Raises:
        UserError: if no trial is finished, or a network cannot be loaded or gives no probabilities.
    """
    latest, everything = _latest_sweep(store), trial_records(store)
    choice, winner = _scoring(store, [*latest, *reversed(everything)])
    scoring = load_trained(store, winner)
    scoring.check_classes()
    by_cell: dict[str, Trained] = {}
    left_out: dict[str, str] = {}
    trained_cells = [record.tags.get(Tag.CELL) for record in (*latest, *everything)]
    for cell in sorted(CELLS.names, key=lambda cell: [*trained_cells, cell].index(cell)):
        of_cell = ([it for it in records if it.tags.get(Tag.CELL) == cell] for records in (latest, everything))
        record = next(filter(None, map(best_by_validation, of_cell)), None)
        if record is None:
            left_out[cell] = "no trial of it is finished"
            continue
        try:
            trained = load_trained(store, record)
            _check_rows(trained, next(iter(by_cell.values()), None))
        except UserError as error:
            left_out[cell] = f"{record.name}: {error}"
        else:
            by_cell[cell] = trained
    return Models(scoring, choice, by_cell, left_out)


def _scoring(store: Store, latest: Sequence[TrialRecord]) -> tuple[str, TrialRecord]:
    """The network that scores and why: the only champion, else the only best, else that of the latest trial's block."""
    winners = {choice: find_winners(store, choice) for choice in (CHAMPION, BEST)}
    choice = CHAMPION if winners[CHAMPION] else BEST
    if len(winners[choice]) < 2:
        return choice, find_winner(store, choice)
    return next((it, winners[it][trial.block]) for trial in latest for it in winners if trial.block in winners[it])


def _latest_sweep(store: Store) -> Sequence[TrialRecord]:
    try:
        return [trial.record for trial in read_sweeps(store, LATEST)[1].finished]
    except UserError:  # no sweep yet
        return []


def _check_rows(trained: Trained, other: Trained | None) -> None:
    """Raises UserError if a network has no answer after each row, or its images are not those of the other."""
    trained.check_classes()
    if trained.config.data.sequence != "rows":
        raise UserError(f"data.sequence={trained.config.data.sequence}: it does not read row by row")
    if other is not None and (trained.image_size, trained.num_classes) != (other.image_size, other.num_classes):
        height, width = trained.image_size
        raise UserError(f"its images are {height} × {width} in {trained.num_classes} classes, unlike the others'")
    trained.logits_by_step(np.zeros((1, *trained.image_size), np.uint8))
