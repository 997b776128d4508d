"""Pools of a user's own, and pools under sweepers of Hydra's."""

import time

import pytest
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf

from recurrent_cells.config.schema import Config
from recurrent_cells.sweeps.drive import drive
from recurrent_cells.sweeps.feeds import GridFeed
from recurrent_cells.sweeps.launchers import ForeignPool
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.sweeps.pools.local import LocalPool
from recurrent_cells.tables import POOLS
from recurrent_cells.tracking import journal


class SignedPool(LocalPool):
    """Says who it is, and trains as `local` does."""

    name = "signed"

    def __init__(self, words: str = "nobody", slots: int | None = None) -> None:
        super().__init__(slots)
        self.words = words

    def where(self, groups, count):
        return f"by {self.words}"


@pytest.fixture
def signed():
    POOLS.add(SignedPool)
    yield
    POOLS.clear()


@pytest.mark.slow
def test_a_pool_of_a_users_file_is_a_launcher_whose_options_are_its_arguments(sweep, trials, signed):
    answer = sweep("seed=0,1", "hydra.launcher.words=me", launcher="hydra/launcher=signed")
    assert (answer.code, answer.err.splitlines()[0]) == (0, "2 trials by me")
    assert [record.status for record in trials()] == ["FINISHED"] * 2
    unknown = sweep("seed=0,1", "hydra.launcher.word=me", launcher="hydra/launcher=signed")
    assert (unknown.code, unknown.err.partition(";")[0]) == (2, "hydra.launcher.word: no such key")


@pytest.mark.slow
def test_a_pool_under_hydras_own_sweeper_trains_each_trial(sweep, trials, parents):
    answer = sweep("seed=0,1", "hydra/sweeper=basic")
    assert answer.code == 0
    assert answer.err.splitlines()[0] == "2 trials on 2 slots"
    assert [record.status for record in trials()] == ["FINISHED"] * 2
    assert parents() == []


@pytest.mark.slow
def test_a_trial_gets_the_config_that_was_planned_and_composes_none(sweep, tmp_path):
    def train(config):
        (tmp_path / f"seed-{config.seed}").write_text(type(config).__name__)
        return {}

    assert sweep("seed=0,1", train=train).code == 1  # no run says that the trials are finished
    assert [(tmp_path / f"seed-{seed}").read_text() for seed in (0, 1)] == ["Config"] * 2


class Queued(Launcher):
    """A launcher whose trials wait in a queue before they begin."""

    def setup(self, **_):
        pass

    def launch(self, job_overrides, initial_job_idx):
        time.sleep(0.5)
        return [JobReturn(overrides=it, _return_value={}, status=JobStatus.COMPLETED) for it in job_overrides]


def test_the_parent_of_trials_in_the_queue_of_a_launcher_shows_that_the_sweep_is_at_work(store, monkeypatch):
    monkeypatch.setattr(journal, "SECONDS_BETWEEN_BEATS", 0.0)
    monkeypatch.setattr(journal, "SECONDS_BETWEEN_DELIVERIES", 0.1)
    parent = store.client.create_run(store.experiment_id, tags={"process.heartbeat": "0"}).info.run_id
    pool = ForeignPool(Queued())
    pool.prepare(lambda config: {}, OmegaConf.create(), store)
    feed = GridFeed([Trial((), {}, Config(), "a", "fingerprint", "", 1).below(parent, {})])
    drive(feed, pool, store, parent, retries=0)
    assert feed.outcomes["fingerprint"].status == "finished"
    assert store.client.get_run(parent).data.tags["process.heartbeat"] != "0"
