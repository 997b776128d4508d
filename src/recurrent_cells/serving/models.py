"""Which networks answer: one scores images, and one of each cell is watched row by row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recurrent_cells.errors import UserError
from recurrent_cells.inference.trained import Trained, find_winner, load_trained
from recurrent_cells.sweeps.results import LATEST, read_sweeps
from recurrent_cells.tables import CELLS
from recurrent_cells.tracking.queries import TrialRecord, best_by_validation, trial_records
from recurrent_cells.tracking.registry import CHAMPION, find_champion
from recurrent_cells.tracking.store import Store


@dataclass(frozen=True)
class Models:
    """The networks that a server holds.

    Args:
        scoring: answers requests; `choice` says why it does, champion or best.
        by_cell: are watched row by row; all read images of one size.
        left_out: why there is none of a cell, in words.
    """

    scoring: Trained
    choice: str
    by_cell: dict[str, Trained]
    left_out: dict[str, str]


def load_models(store: Store) -> Models:
    """The champion, or the best where there is none, and of each cell the best of the latest sweep, else of all.

    Raises:
        UserError: if no trial is finished, or a network cannot be loaded.
    """
    choice = CHAMPION if find_champion(store) is not None else "best"
    scoring = load_trained(store, find_winner(store, choice))
    by_cell: dict[str, Trained] = {}
    left_out: dict[str, str] = {}
    candidates = [_latest_sweep(store), trial_records(store)]
    for cell in CELLS.names:
        of_cell = ([record for record in records if record.tags.get("cell") == cell] for records in candidates)
        record = next((best for records in of_cell if (best := best_by_validation(records)) is not None), None)
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


def _latest_sweep(store: Store) -> Sequence[TrialRecord]:
    try:
        return [trial.record for trial in read_sweeps(store, LATEST)[1].finished]
    except UserError:  # no sweep yet
        return []


def _check_rows(trained: Trained, other: Trained | None) -> None:
    """Raises UserError if a network has no answer after each row, or its images are not those of the other."""
    if trained.config.data.sequence != "rows":
        raise UserError(f"data.sequence={trained.config.data.sequence}: it does not read row by row")
    if other is not None and (trained.image_size, trained.num_classes) != (other.image_size, other.num_classes):
        height, width = trained.image_size
        raise UserError(f"its images are {height} × {width} in {trained.num_classes} classes, unlike the others'")
    trained.logits_by_step(np.zeros((1, *trained.image_size), np.uint8))
