import json
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from recurrent_cells.config.schema import Config
from recurrent_cells.sweeps import parent
from recurrent_cells.sweeps.parent import close_parent, open_parent
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.tracking.parents import read_parent
from recurrent_cells.tracking.recovery import recover


def planned(*seeds: int) -> list[Trial]:
    return [
        Trial((f"seed={seed}",), {"seed": str(seed)}, replace(Config(), seed=seed), f"lstm-s{seed}", f"f{seed}", "", 7)
        for seed in seeds
    ]


def plan_of(run):
    return json.loads((Path(run.info.artifact_uri.removeprefix("file://")) / "plan.json").read_text())


def test_the_same_plan_has_the_same_parent_in_any_order(store, parents):
    first = open_parent(store, planned(0, 1), "seed=0,1", rerun="missing")
    close_parent(store, first.run_id, {"finished": 1, "failed": 1}, "FAILED")
    (run,) = parents()
    assert run.info.status == "FAILED"
    assert {"sweep.trials": "2", "sweep.finished": "1", "sweep.failed": "1"}.items() <= run.data.tags.items()
    assert run.data.tags["sweep"] == run.info.run_id == first.run_id
    assert [entry["name"] for entry in plan_of(run)] == ["lstm-s0", "lstm-s1"]

    assert open_parent(store, planned(1, 0), "seed=1,0", rerun="missing") == first
    (run,) = parents()
    assert (run.info.status, run.info.run_name) == ("RUNNING", "seed=0,1")
    assert open_parent(store, planned(0, 2), "seed=0,2", rerun="missing") != first


def test_two_that_start_together_share_one(store, parents):
    def start(queue):
        queue.put(open_parent(store, planned(0, 1), "seed=0,1", rerun="missing").run_id)

    fork = get_context("fork")
    queue = fork.SimpleQueue()
    store.disconnect()
    processes = [fork.Process(target=start, args=(queue,)) for _ in range(3)]
    for process in processes:
        process.start()
    found = {queue.get() for _ in processes}
    for process in processes:
        process.join()
    assert found == {run.info.run_id for run in parents()}
    assert len(found) == 1


def test_one_that_was_killed_while_it_was_made_is_completed(store, parents, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(parent, "set_running", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            open_parent(store, planned(0), "seed=0", rerun="missing")
    open_parent(store, planned(0), "seed=0", rerun="missing")
    (run,) = parents()
    assert run.data.tags["sweep"] == run.info.run_id
    assert len(plan_of(run)) == 1


def test_to_train_all_again_goes_on_where_it_was_interrupted(store, parents):
    def start(rerun):
        return open_parent(store, planned(0), "seed=0", rerun)

    def finish():
        run = store.client.create_run(store.experiment_id, tags={"fingerprint": "f0"})
        store.client.set_terminated(run.info.run_id, "FINISHED")
        return run.info.run_id

    first = finish()
    assert (start("missing").round, start("missing").earlier) == ("", {})
    begun = start("all")
    assert begun.earlier == {"f0": [first]}
    (run,) = parents()
    assert read_parent(store, run.info.run_id).round == begun.round
    second = finish()
    close_parent(store, run.info.run_id, {}, "KILLED")
    assert start("all") == begun
    close_parent(store, run.info.run_id, {}, "FINISHED")
    assert set(start("all").earlier["f0"]) == {first, second}


def test_a_parent_that_finishes_has_no_error_of_an_earlier_death(store, parents):
    made = open_parent(store, planned(0), "seed=0", rerun="missing")
    store.client.set_tag(made.run_id, "process.start", "1")
    assert [repair.status for repair in recover(store)] == ["KILLED"]
    open_parent(store, planned(0), "seed=0", rerun="missing")
    assert "error" not in parents()[0].data.tags
    store.client.set_tag(made.run_id, "error", "taken for dead by another host")
    close_parent(store, made.run_id, {"finished": 1}, "FINISHED")
    assert "error" not in parents()[0].data.tags
