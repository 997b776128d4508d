"""Trained networks as MLflow models in the artifacts of their runs."""

import tempfile
from pathlib import Path

from recurrent_cells.data.examples import load_examples
from recurrent_cells.data.splits import held_out
from recurrent_cells.inference.trained import load_trained
from recurrent_cells.tracking.artifacts import has_model
from recurrent_cells.tracking.delivery import add_files
from recurrent_cells.tracking.model import save_model
from recurrent_cells.tracking.queries import TrialRecord
from recurrent_cells.tracking.store import Store
from recurrent_cells.trial.model import values_of, with_answers


def ensure_saved(store: Store, record: TrialRecord) -> None:
    """Make the model from the best checkpoint if the trial has left none, as with `registry=false`.

    Raises:
        UserError: if the checkpoint or the examples are not to be had.
    """
    if has_model(store, record):
        return
    trained = load_trained(store, record)
    network, values = trained.network, values_of(held_out(load_examples(trained.config.data), trained.config.data))
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder), record.run_id, with_answers(network), values, any_steps=network.takes_any_steps)
        add_files(store, record.run_id, Path(folder))
