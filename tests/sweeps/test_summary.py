from dataclasses import replace

from recurrent_cells.config.schema import Config
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.sweeps.summary import summary, table
from recurrent_cells.tracking.queries import TrialRecord


def trial(seed: int, lr: str) -> Trial:
    varied = {"seed": str(seed), "optimizer.lr": lr}
    return Trial((), varied, replace(Config(), seed=seed), f"lstm-s{seed}", f"{lr}-{seed}", "shape", 12345)


def record(planned: Trial, test: float, status: str = "FINISHED") -> TrialRecord:
    metrics = {"val/best_acc": 0.5, "test/acc": test}
    return TrialRecord("id", "", planned.fingerprint, status, 0, "", {}, {"seconds": "2.5"}, metrics)


def test_a_row_for_each_finished_trial_then_means_over_seeds():
    planned = [trial(seed, lr) for lr in ("0.1", "0.2") for seed in (0, 1)]
    records = {t.fingerprint: record(t, test) for t, test in zip(planned, (0.6, 0.62, 0.9, 0.1), strict=True)}
    records[planned[3].fingerprint] = record(planned[3], 0.1, "KILLED")
    lines = summary(planned, records).splitlines()
    assert lines[0].split() == [
        *("cell", "hidden", "parameters", "seed", "optimizer.lr", "best", "val", "acc", "test", "acc", "seconds")
    ]
    assert lines[1].split() == ["lstm", "128", "12,345", "0", "0.1", "0.5000", "0.6000", "2.5"]
    assert len(lines) == 7
    assert lines[5:] == [
        # sd 1.414 / √2 · t of one degree of freedom at 1 - 0.95^(1/2), for two configurations
        "lstm 128 optimizer.lr=0.1: test acc 61.00 ± 25.13 % over 2 seeds",
        "lstm 128 optimizer.lr=0.2: test acc 90.00 % over 1 seed",
    ]


def test_no_interval_of_a_share_is_wider_than_what_there_is():
    planned = [trial(seed, lr) for lr in ("0.1", "0.2") for seed in (0, 1)]
    records = {t.fingerprint: record(t, test) for t, test in zip(planned, (0.2, 0.8, 0.9, 0.9), strict=True)}
    assert "test acc 50.00 ± 100.00 % over 2 seeds" in summary(planned, records)


def test_models_given_as_mappings_are_told_apart_and_trials_that_tuned_are_in_no_mean():
    biases = [replace(trial(0, "0.1"), varied={"model": f"{{cell:lstm,forget_bias:{it}}}"}) for it in (0, 1)]
    planned = [replace(one, fingerprint=f"{place}") for place, one in enumerate([*biases, *biases, biases[0]])]
    records = {t.fingerprint: record(t, test) for t, test in zip(planned, (0.6, 0.8, 0.6, 0.8, 0.1), strict=True)}
    lines = summary(planned, records, tuning=planned[4:]).splitlines()
    assert lines[7:] == [
        "lstm 128 model={cell:lstm,forget_bias:0}: test acc 60.00 % over 2 seeds",
        "lstm 128 model={cell:lstm,forget_bias:1}: test acc 80.00 % over 2 seeds",
    ]


def test_columns_line_up():
    assert table([["a", "n"], ["long", "1"], ["b", "100"]]) == ["a       n", "long    1", "b     100"]


def test_the_metric_is_that_of_the_sweep_whatever_else_the_store_has():
    planned = trial(0, "0.1")
    other = replace(record(planned, 0.5), fingerprint="other", tags={"metric": "mse", "metric.is_share": "false"})
    lines = summary([planned], {"other": other, planned.fingerprint: record(planned, 0.6)}).splitlines()
    assert lines[0].endswith("best val acc  test acc  seconds")
