"""A sweep as its page gets it: all at first, then what is new."""

import pytest
from mlflow.entities import Metric, RunTag

from recurrent_cells.errors import UserError
from recurrent_cells.reports.write import write_report
from recurrent_cells.serving.watch import machine, records, sweep
from recurrent_cells.serving.watch.machine import Machine
from recurrent_cells.serving.watch.sweep import WatchedSweep
from recurrent_cells.tracking.provenance import process_tags
from recurrent_cells.tracking.queries import trial_records
from tests.written_sweeps import Made, make_sweep, store

__all__ = ["make_sweep", "store"]  # fixtures

SPREAD = (0.0, 0.006, -0.005)
COMPARED = [
    Made(cell, seed, accuracy + SPREAD[seed]) for cell, accuracy in (("gru", 0.9), ("lstm", 0.8)) for seed in range(3)
]


@pytest.fixture(autouse=True)
def looks_at_once(monkeypatch):
    """A look is not put off to spare the machine."""
    monkeypatch.setattr(sweep, "SECONDS_BETWEEN_LOOKS", 0.0)
    monkeypatch.setattr(sweep, "LONGEST_PAUSE", 0.0)


@pytest.fixture
def watch(store, make_sweep):
    """`watch(Made("gru", 0), …)` watches a sweep of these that runs, or has ended."""

    def begin(*trials: Made, status: str = "RUNNING") -> WatchedSweep:
        parent = make_sweep(*trials)
        store.client.update_run(parent, status=status)
        return WatchedSweep(store, "latest")

    return begin


def log(store, run_id, **points):
    """Write points of the validation metric, `step_40=0.5`."""
    metrics = [Metric("val/acc", value, 2000, int(name.removeprefix("step_"))) for name, value in points.items()]
    store.client.log_batch(run_id, metrics)


def run_of(store, seed):
    (record,) = (record for record in trial_records(store) if record.params["seed"] == str(seed))
    return record.run_id


def states(answer):
    return {trial["name"]: trial["state"] for trial in answer["trials"]}


@pytest.mark.slow
def test_the_first_answer_has_all_trials_their_curves_and_the_verdict_of_the_report(watch, store):
    answer = watch(*COMPARED, status="FINISHED").since("")
    assert answer["whole"]
    assert set(states(answer).values()) == {"finished"}
    assert [one["label"] for one in answer["configurations"]] == ["GRU", "LSTM"]
    trial = answer["trials"][0]
    assert (trial["name"], trial["seed"], trial["test"], trial["value"]) == ("gru-h8x1-s0", "0", 0.9, 0.91)
    assert answer["points"][trial["run"]]["val/acc"] == ([10, 20, 30], [0.5, 0.8, 0.9])
    (pair,) = answer["comparison"]["blocks"][0]["pairs"]
    assert pair["kind"] == "better"
    assert pair["sentence"] in "\n".join(write_report(store).headline)


def test_an_answer_has_only_what_is_newer_than_what_the_page_has(watch, store):
    watched = watch(*(Made("gru", seed, state="RUNNING") for seed in range(2)))
    version = watched.since("")["version"]
    watched.look()
    assert (watched.since(version)["trials"], watched.since(version)["points"]) == ([], {})
    log(store, run_of(store, 0), step_30=0.9, step_40=0.95)
    watched.look()
    answer = watched.since(version)
    assert answer["points"] == {run_of(store, 0): {"val/acc": ([40], [0.95])}}
    assert [trial["step"] for trial in answer["trials"]] == [40]
    assert not answer["whole"]


@pytest.mark.parametrize("version", ["", "another.3", "x", "9.", ".1"])
def test_a_page_of_another_server_gets_all(watch, version):
    watched = watch(Made("gru", 0))
    answer = watched.since(version)
    assert (answer["whole"], len(answer["trials"])) == (True, 1)


def test_each_state_has_its_name(watch, store):
    trials = [Made("gru", 0), Made("gru", 1, state="missing"), Made("gru", 2, state="missing")]
    trials += [Made("gru", 3, state="RUNNING"), Made("gru", 4, state="RUNNING", tags={"stop": "enough"})]
    trials += [Made("gru", 5, state="KILLED", tags={"stop": "enough", "error": "stopped: enough"})]
    trials += [Made("gru", 6, state="KILLED"), Made("gru", 7, state="FAILED", tags={"error": "the loss is nan"})]
    watched = watch(*trials)
    store.client.set_tag(watched.parent.run_id, f"skip.{trials[2].fingerprint}", "no use")
    watched.look()
    answer = watched.since("")
    expected = ("finished", "waiting", "skipped", "running", "stopping", "stopped", "killed", "failed")
    assert states(answer) == {f"gru-h8x1-s{seed}": state for seed, state in enumerate(expected)}
    assert [trial.get("reason") for trial in answer["trials"]][2] == "no use"
    assert answer["trials"][7]["reason"] == "the loss is nan"


def test_trials_that_end_or_come_and_go_between_two_looks_are_seen(watch, store, make_sweep):
    watched = watch(Made("gru", 0, state="RUNNING"), Made("gru", 1, state="missing"))
    version = watched.since("")["version"]
    store.client.set_terminated(run_of(store, 0))
    make_sweep(Made("gru", 1, 0.7), name="another")
    watched.look()
    assert states(watched.since(version)) == {"gru-h8x1-s0": "finished", "gru-h8x1-s1": "finished"}


def test_a_run_that_a_dead_process_left_is_seen_to_be_killed(watch, store, monkeypatch):
    monkeypatch.setattr(sweep, "SECONDS_BETWEEN_CHECKS", 0.0)
    watched = watch(Made("gru", 0, state="RUNNING"))
    run_id = run_of(store, 0)
    tags = process_tags() | {"process.start": "1"}  # the number is taken, by a process that began later
    store.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    watched.look()
    assert states(watched.since("")) == {"gru-h8x1-s0": "killed"}


def test_a_deleted_run_is_missed_at_the_next_whole_reading(watch, store, monkeypatch):
    monkeypatch.setattr(records, "SECONDS_BETWEEN_READS", 0.0)
    watched = watch(Made("gru", 0))
    store.client.delete_run(run_of(store, 0))
    watched.look()
    assert states(watched.since("")) == {"gru-h8x1-s0": "waiting"}


def test_the_time_left_follows_from_the_pace_and_from_what_others_took(watch, store):
    running = {"params": {"data.batch_size": "10"}, "state": "RUNNING", "steps": 130}
    trials = [Made("gru", seed, **running) for seed in (0, 1)]
    watched = watch(*trials, Made("gru", 2))
    assert watched.since("")["trials"][0]["left"] is None
    store.client.log_batch(run_of(store, 0), [Metric("samples_per_second", 5.0, 2000, 30)])
    watched.look()
    assert watched.since("")["trials"][0]["left"] == 200
    assert watched.since("")["sweep"]["left"] == pytest.approx((200 + 12.5 / 2) / 2)


def test_the_comparison_of_a_sweep_that_runs_takes_the_seeds_that_all_have_and_tells_no_verdict(watch):
    trials = [Made("gru", seed, 0.9 + SPREAD[seed]) for seed in range(3)]
    answer = watch(*trials, Made("lstm", 0, 0.89), Made("lstm", 1, 0.9), Made("lstm", 2, state="RUNNING")).since("")
    (block,) = answer["comparison"]["blocks"]
    (pair,) = block["pairs"]
    assert block["seeds"] == 2
    assert pair["sentence"].startswith("GRU is ahead of LSTM by 0.8 ± ")
    assert (pair["kind"], round(pair["way"], 2)) == ("open", round(pair["difference"] / pair["half"], 2))
    assert answer["comparison"]["how"].startswith("No verdict yet")


def test_without_a_finished_trial_there_is_nothing_to_compare(watch):
    assert watch(Made("gru", 0, state="missing"), Made("lstm", 0, state="RUNNING")).since("")["comparison"] is None


def test_configurations_are_told_apart_by_what_varies(watch):
    rates = [{"optimizer.lr": rate} for rate in ("0.1", "0.2")]
    answer = watch(*(Made("gru", 0, params=rate) for rate in rates), Made("lstm", 0, params=rates[0])).since("")
    assert [one["label"] for one in answer["configurations"]] == ["GRU lr 0.1", "GRU lr 0.2", "LSTM lr 0.1"]
    assert [one["line"] for one in answer["configurations"]] == [0, 1, 0]
    colors = [one["color"] for one in answer["configurations"]]
    assert colors[0] == colors[1] != colors[2]


def test_long_curves_are_thinned_as_they_come(watch, store):
    watched = watch(Made("gru", 0, state="RUNNING", steps=100_000))
    for start in range(1000, 100_000, 33_000):
        points = {f"step_{step}": 0.5 for step in range(start, start + 33_000, 100)}
        log(store, run_of(store, 0), **points)
        watched.look()
    steps, _ = watched.since("")["points"][run_of(store, 0)]["val/acc"]
    assert 150 < len(steps) <= 210
    assert steps == sorted(set(steps))


def test_one_sweep_at_a_time(store, make_sweep):
    both = [make_sweep(Made("gru", seed), name=f"sweep {seed}") for seed in (0, 1)]
    with pytest.raises(UserError, match="a page shows one sweep"):
        WatchedSweep(store, ",".join(both))


def test_the_machine_tells_of_memory_processors_and_gpus_that_answer(monkeypatch, tmp_path):
    monkeypatch.setattr(machine.shutil, "which", lambda _: None)
    told = Machine().look()
    assert 0 < told["memory"]["used"] <= told["memory"]["total"]
    assert told["gpus"] == []
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'A100, 37, 1024, 40960'\necho 'A shared one, [N/A], 1, 2'\n")
    tool.chmod(0o755)
    monkeypatch.setattr(machine.shutil, "which", lambda _: str(tool))
    (gpu,) = Machine().look()["gpus"]
    assert gpu == {"name": "A100", "busy": 37, "memory": {"used": 2**30, "total": 40 * 2**30}}
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert Machine().look()["gpus"] == []


def test_configurations_that_differ_within_one_value_have_labels_of_their_own(store, make_sweep):
    sizes = [{"model": f"{{cell:gru,hidden_size:{size}}}"} for size in (4, 6)]
    make_sweep(*(Made("gru", seed, choices=size) for size in sizes for seed in range(2)))
    labels = [one["label"] for one in WatchedSweep(store, "latest").since("")["configurations"]]
    assert len(set(labels)) == 2
