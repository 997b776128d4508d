"""What the store knows of trials."""

from dataclasses import replace
from math import isnan

from recurrent_cells.tracking.queries import (
    TrialRecord,
    best_by_validation,
    latest_by_fingerprint,
    search,
    trial_records,
    unpruned,
)


def record(
    run_id: str, fingerprint: str, status: str, accuracy: float = 0.5, pruned_by: str = "", **tags: str
) -> TrialRecord:
    if pruned_by:
        tags |= {"pruned": "10", "pruned.by": pruned_by}
    return TrialRecord(run_id, "name", fingerprint, status, 0, "file:///nowhere", {}, tags, {"val/best_acc": accuracy})


def test_a_finished_run_stands_for_its_trial_else_the_latest():
    records = [
        record("1", "a", "FINISHED"),
        record("2", "a", "FAILED"),
        record("3", "b", "KILLED"),
        record("4", "b", "RUNNING"),
        record("5", "c", "FAILED"),
        record("6", "c", "FINISHED"),
        record("7", "c", "FINISHED"),
    ]
    latest = latest_by_fingerprint(records)
    assert {fingerprint: found.run_id for fingerprint, found in latest.items()} == {"a": "1", "b": "4", "c": "7"}


def test_a_pruned_trial_counts_in_its_own_search_alone():
    records = [
        record("1", "a", "FINISHED", 0.6),
        record("2", "b", "FINISHED", 0.9, pruned_by="search"),
        record("3", "c", "FINISHED", 0.8, pruned_by="another"),
        record("4", "d", "FINISHED", 0.7),
    ]
    assert [found.run_id for found in unpruned(records)] == ["1", "4"]
    assert [found.run_id for found in unpruned(records, but_by="search")] == ["1", "2", "4"]
    best = best_by_validation(records)
    assert best is not None
    assert best.run_id == "4"


def test_a_run_of_an_earlier_version_is_judged_by_its_accuracy():
    old = record("1", "a", "FINISHED", 0.6)
    assert (old.metric, old.higher_is_better, old.is_share, old.selection, old.test) == ("acc", True, True, 0.6, None)


def test_a_trial_is_stopped_whose_end_a_tag_asked_for():
    said = "stopped: seen enough"
    assert record("1", "a", "KILLED", stop="seen enough", error=said).stopped
    assert record("1", "a", "KILLED", error=said).stopped  # somebody has removed the tag since
    assert not record("1", "a", "KILLED", stop="seen enough", error="process 5 is gone").stopped
    assert not record("1", "a", "FINISHED", stop="seen enough").stopped


def test_a_run_says_by_what_it_is_judged():
    tags = {"metric": "mse", "metric.higher_is_better": "false", "metric.is_share": "false"}
    errors = [
        TrialRecord(run_id, "", run_id, "FINISHED", 0, "", {}, tags, {"val/best_mse": mse, "test/mse": 2 * mse})
        for run_id, mse in (("1", 0.5), ("2", 0.25), ("3", 0.75))
    ]
    assert (errors[0].metric, errors[0].higher_is_better, errors[0].is_share) == ("mse", False, False)
    assert (errors[0].selection, errors[0].test) == (0.5, 1.0)
    assert best_by_validation(errors) is errors[1]


def test_one_that_watched_the_test_data_is_best_only_where_all_did():
    watched = [record(run_id, run_id, "FINISHED", 0.9, protocol="test-watched") for run_id in ("1", "2")]
    honest = record("3", "c", "FINISHED", 0.5, protocol="held-out")
    assert best_by_validation([*watched, honest]) is honest
    assert best_by_validation(watched) is watched[0]


def test_a_trial_without_a_finite_value_is_not_the_best():
    assert best_by_validation([record("1", "a", "FINISHED", float("nan"))]) is None


def test_runs_that_are_no_trials_are_left_out(store, run_of):
    store.client.create_run(store.experiment_id, run_name="parent")
    run_id = run_of("abc", "FAILED", folder=False, error="broken", seconds="1.5")
    store.client.log_metric(run_id, "test/acc", 0.5)
    store.client.log_param(run_id, "seed", 3)
    (found,) = trial_records(store)
    assert (found.run_id, found.name, found.fingerprint, found.status) == (run_id, "trial-abc", "abc", "FAILED")
    assert (found.seconds, found.error, found.metrics, found.params) == (
        1.5,
        "broken",
        {"test/acc": 0.5},
        {"seed": "3"},
    )
    assert found.end_time > 0
    assert len(list(search(store))) == 2


def test_a_condition_narrows_the_search(store, run_of):
    run_of("abc", "FAILED", folder=False)
    wanted = run_of("def", "FINISHED", folder=False)
    found = trial_records(store, "attributes.status = 'FINISHED'")
    assert [record.run_id for record in found] == [wanted]
    assert found[0].seconds is None


class Pages:
    """A client that answers a search two runs at a time."""

    def __init__(self, runs: list[str]) -> None:
        self.runs = runs

    def search_runs(self, experiments, condition, max_results, order_by, page_token):
        start = int(page_token or 0)
        page = Page(self.runs[start : start + 2])
        page.token = str(start + 2) if start + 2 < len(self.runs) else ""
        return page


class Page(list):
    token = ""


def test_a_search_reads_all_pages(store):
    store.__dict__["client"] = Pages(["one", "two", "three", "four", "five"])
    assert list(search(store)) == ["one", "two", "three", "four", "five"]


def test_keys_that_came_later_leave_the_blocks_of_earlier_runs_as_they_were():
    def block(**params):
        return replace(record("1", "a", "FINISHED"), params={"data.name": "mine", **params}).block

    earlier = block()
    assert block(**{"data.missing": "refuse"}) == earlier
    assert block(**{"data.missing": "zero"}) != earlier


def test_what_is_infinite_is_no_number_to_compare(store, run_of):
    run_id = run_of("gru", "FINISHED")
    store.client.log_metric(run_id, "val/best_acc", float("inf"))
    (found,) = trial_records(store)
    assert isnan(found.metrics["val/best_acc"])
    assert found.rank == (False, float("-inf"))
