"""Runs read from the database's tables are those that MLflow's own search finds."""

import sqlite3
from math import inf, isnan, nan

import pytest

from recurrent_cells.errors import UserError
from recurrent_cells.tracking.patience import patiently
from recurrent_cells.tracking.queries import trial_records


def test_all_trials_are_read_as_mlflow_finds_them(store, run_of):
    first, second, deleted = (run_of(name, status="FINISHED", folder=False) for name in ("a", "b", "c"))
    store.client.create_run(store.experiment_id, run_name="no trial")
    for key, value in (("val/acc", 0.25), ("val/acc", 0.5), ("train/loss", nan), ("test/loss", inf)):
        store.client.log_metric(first, key, value, step=1)
    store.client.log_param(second, "seed", "1")
    store.client.delete_run(deleted)

    read = trial_records(store)
    searched = trial_records(store, "attributes.start_time > 0")
    assert [record.run_id for record in read] == [first, second]
    assert isnan(read[0].metrics.pop("train/loss"))
    assert isnan(searched[0].metrics.pop("train/loss"))
    assert read == searched


def test_a_database_that_fails_for_a_while_is_named_and_waited_for(store, run_of, monkeypatch):
    run_of("a")
    wanted, connect, fails = trial_records(store), sqlite3.connect, [True, True]

    def connected(*given, **settings):
        if fails and fails.pop():
            raise sqlite3.OperationalError("disk I/O error")
        return connect(*given, **settings)

    monkeypatch.setattr(sqlite3, "connect", connected)
    with pytest.raises(UserError, match=r"mlflow\.db: .*disk I/O error"):
        trial_records(store)
    assert patiently(lambda: trial_records(store), 30) == wanted
    assert not fails
