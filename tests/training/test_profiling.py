"""trainer.profile=true."""

import gzip
import json
from pathlib import Path

import pytest

from recurrent_cells.tracking.queries import trial_records
from recurrent_cells.tracking.store import open_store
from recurrent_cells.trial.train import train
from tests.support import TINY, compose_config


@pytest.mark.slow
@pytest.mark.parametrize("steps", [9, 120])
def test_a_trial_says_where_its_time_goes(store_file, idx_folder, steps):
    overrides = (*TINY, f"data.root={idx_folder}", "trainer.profile=true", f"trainer.max_steps={steps}")
    train(compose_config(*overrides))
    (record,) = trial_records(open_store("recurrent-cells"))
    folder = Path(record.artifact_uri.removeprefix("file://")) / "profile"
    table = (folder / "table.txt").read_text()
    assert "Optimizer.step#FusedAdam.step" in table
    assert "Self CPU" in table
    assert json.loads(gzip.decompress((folder / "trace.json.gz").read_bytes()))["traceEvents"]


@pytest.mark.slow
def test_it_changes_no_result(store_file, idx_folder):
    plain = train(compose_config(*TINY, f"data.root={idx_folder}"))
    profiled = train(compose_config(*TINY, f"data.root={idx_folder}", "trainer.profile=true"))
    assert profiled["test/loss"] == plain["test/loss"]
    one, other = trial_records(open_store("recurrent-cells"))
    assert one.fingerprint == other.fingerprint
