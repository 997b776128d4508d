"""The best networks of a sweep, registered."""

import logging
from collections.abc import Sequence

from recurrent_cells.inference.saved import ensure_saved
from recurrent_cells.tracking.patience import reason
from recurrent_cells.tracking.queries import TrialRecord, best_by_block
from recurrent_cells.tracking.registry import crown
from recurrent_cells.tracking.store import Store

log = logging.getLogger(__name__)


def crown_best(store: Store, records: Sequence[TrialRecord]) -> None:
    """Let the best of a sweep's trials on each data block challenge its champion; a fault is one line and no more."""
    try:
        for best in best_by_block(records).values():
            ensure_saved(store, best)
            print(crown(store, best))
    except Exception as error:
        log.warning("the best network could not be registered (%s): the same command tries again", reason(error))
