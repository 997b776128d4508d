"""Sweeps of two phases, over trials whose accuracies are written, not trained."""

import pytest

PHASES = "sweep.phases=[{seed:'8,9',optimizer.lr:'0.1,0.2'},{seed:'0,1,2'}]"


@pytest.mark.slow
def test_settings_are_chosen_by_validation_and_compared_on_fresh_seeds(sweep, written, trials, parents):
    def accuracy(config) -> float:
        best = {"lstm": 0.1, "gru": 0.2}[config.model.cell]
        return 0.9 if config.optimizer.lr == best else 0.5

    answer = sweep("model=lstm,gru", PHASES, train=written(accuracy))
    assert answer.code == 0
    used = sorted((it.params["model.cell"], it.params["optimizer.lr"], int(it.params["seed"])) for it in trials())
    tuning = [(cell, lr, seed) for cell in ("gru", "lstm") for lr in ("0.1", "0.2") for seed in (8, 9)]
    fresh = [("gru", "0.2", seed) for seed in (0, 1, 2)] + [("lstm", "0.1", seed) for seed in (0, 1, 2)]
    assert used == sorted(tuning + fresh)
    (parent,) = parents()
    assert (parent.info.status, parent.data.tags["sweep.trials"]) == ("FINISHED", "14")
    means = [line for line in answer.out.splitlines() if " over " in line]
    assert [line.partition(" over ")[2] for line in means] == ["3 seeds"] * 2
    again = sweep("model=lstm,gru", PHASES, train=written(accuracy))
    assert (again.code, len(trials())) == (0, 14)


@pytest.mark.slow
def test_the_second_phase_may_go_on_until_all_is_decided(sweep, written, trials):
    phases = PHASES.replace(",{seed:'0,1,2'}", ",{}")

    def accuracy(config) -> float:
        return 0.1 * len(config.model.cell) + 0.001 * config.seed

    answer = sweep("model=lstm,gru", phases, "sweep.until=decided", train=written(accuracy))
    assert answer.code == 0
    assert len(trials()) == 2 * 2 * 2 + 2 * 3


@pytest.mark.slow
def test_settings_that_failed_are_not_chosen(sweep, written, trials):
    def accuracy(config) -> float | None:
        if config.optimizer.lr == 0.2:
            return None if config.seed == 9 else 0.99
        return 0.5

    answer = sweep("model=lstm,gru", PHASES, train=written(accuracy))
    assert answer.code == 1
    assert {it.params["optimizer.lr"] for it in trials() if int(it.params["seed"]) < 3} == {"0.1"}


@pytest.mark.slow
def test_trying_what_failed_again_keeps_the_second_phase(sweep, written, trials, parents):
    def fails_at(seed):
        return written(lambda config: None if config.seed == seed else 0.9 - config.optimizer.lr)

    assert sweep("model=lstm,gru", PHASES, train=fails_at(1)).code == 1
    assert sweep("model=lstm,gru", PHASES, "sweep.rerun=failed", train=fails_at(None)).code == 0
    (parent,) = parents()
    assert (parent.info.status, parent.data.tags["sweep.trials"]) == ("FINISHED", "14")
    assert sum(record.status == "FINISHED" for record in trials()) == 14


@pytest.mark.slow
def test_the_second_phase_may_vary_what_the_first_does_not(sweep, written, trials):
    phases = "sweep.phases=[{seed:'8',optimizer.lr:'0.1,0.2'},{seed:'0,1',model.num_layers:'1,2'}]"
    planned = sweep("model=lstm", phases, "sweep.dry_run=true")
    assert planned.code == 0
    assert "10 trials" in planned.out
    answer = sweep("model=lstm", phases, train=written(lambda config: config.optimizer.lr))
    assert answer.code == 0
    fresh = [it.params["optimizer.lr"] for it in trials() if it.params["seed"] != "8"]
    assert fresh == ["0.2"] * 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("phases", "said"),
    [
        ("[{seed:'0,9',optimizer.lr:'0.1,0.2'},{seed:'0,1'}]", "both phases"),
        ("[{seed:'0,9'}]", "two mappings"),
        ("[{seed:8},{seed:0}]", "two mappings"),
        ("[{seed:'8',sweep.parent:'abc'},{seed:'0'}]", "sweep.parent=abc: no choice of a trial"),
        ("[{seed:'8'},{seed:'0',optimizer.eps:'0'}]", "optimizer.eps=0"),
    ],
)
def test_phases_that_make_no_sense_are_refused(sweep, parents, phases, said):
    answer = sweep("model=lstm,gru", f"sweep.phases={phases}")
    assert answer.code == 2
    assert said in answer.err
    assert parents() == []
