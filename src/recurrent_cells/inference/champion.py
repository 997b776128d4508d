"""The best network of a sweep, registered."""

import logging
from collections.abc import Sequence

from recurrent_cells.inference.saved import ensure_saved
from recurrent_cells.tracking.patience import reason
from recurrent_cells.tracking.queries import TrialRecord, best_by_validation
from recurrent_cells.tracking.registry import crown
from recurrent_cells.tracking.store import Store

log = logging.getLogger(__name__)


def crown_best(store: Store, records: Sequence[TrialRecord]) -> None:
    """Let the best of a sweep's trials challenge the champion; what goes wrong is one line and spoils nothing."""
    try:
        best = best_by_validation(records)
        if best is None:
            return
        ensure_saved(store, best)
        print(crown(store, best))
    except Exception as error:
        log.warning("the best network could not be registered (%s): the same command tries again", reason(error))
