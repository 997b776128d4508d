"""A trial that finds its hidden size is the trial that is given it."""

import pytest

from recurrent_cells.tracking.queries import trial_records
from recurrent_cells.tracking.store import open_store
from recurrent_cells.trial.train import train
from tests.support import TINY, compose_config

# TINY's eight hidden units of a GRU, on rows of 5 pixels in 4 classes.
GRU_OF_8 = 3 * 8 * (5 + 8 + 2) + 9 * 4


def test_it_has_the_fingerprint_the_name_and_the_results(store_file, idx_folder):
    shared = (*TINY, "model=gru", f"data.root={idx_folder}", "trainer.max_steps=4", "model.hidden_size=8")
    train(compose_config(*shared))
    train(compose_config(*shared, "model.hidden_size=128", f"model.match=parameters:{GRU_OF_8 + 3}"))
    given, found = trial_records(open_store("recurrent-cells"))
    assert found.name == given.name == "gru-h8x1-s0"
    assert found.params == given.params
    assert found.tags["fingerprint"] == given.tags["fingerprint"]
    assert found.metrics["test/loss"] == given.metrics["test/loss"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("parameters:30", "model.match=parameters:30: no hidden size of lstm comes within 5 %; the nearest is "),
        ("82186", "model.match=82186: allowed is parameters:COUNT, or null"),
    ],
)
@pytest.mark.parametrize("flags", [(), ("-m", "sweep.dry_run=true")])
def test_what_no_size_meets_ends_the_command_and_leaves_nothing(run_cli, store_file, idx_folder, flags, asked, said):
    answer = run_cli(*flags, *TINY, f"data.root={idx_folder}", f"model.match={asked}")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert answer.err.startswith(said)
    assert trial_records(open_store("recurrent-cells")) == []
