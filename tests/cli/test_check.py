"""The command: python -m src.check [sweep=…] [baseline=…] [margin=…]."""

import json
from xml.etree import ElementTree

import pytest

from recurrent_cells.cli.check import main
from tests.support import refusal
from tests.written_sweeps import Made, make_sweep, store

__all__ = ["make_sweep", "store"]  # fixtures

SEEDS = (0, 1, 2, 3, 4)
GOOD = (0.900, 0.904, 0.898, 0.902, 0.901)


def made(values, params=None):
    return [Made("gru", seed, value, params=params or {}) for seed, value in zip(SEEDS, values, strict=True)]


def answer(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return int(end.value.code or 0)


@pytest.fixture
def baseline(make_sweep) -> str:
    return make_sweep(*made(GOOD), name="before")


@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        (GOOD, 0, "to the bit"),
        ([value + 0.0001 * (seed % 3) for seed, value in enumerate(GOOD)], 0, "is not worse than"),
        ([value - 0.02 + 0.001 * (seed % 3) for seed, value in enumerate(GOOD)], 1, "is worse than"),
        ([value - 0.004 * (seed - 2) for seed, value in enumerate(GOOD)], 3, "may be worse than"),
    ],
)
def test_the_interval_of_the_difference_decides(make_sweep, baseline, capsys, values, code, words):
    make_sweep(*made(values), name="after")
    assert answer(f"baseline={baseline}", "margin=0.3") == code
    said = capsys.readouterr().out
    assert words in said
    assert said.count("\n") == 1


def test_a_margin_forgives_a_small_loss(make_sweep, baseline):
    make_sweep(*made([value - 0.002 + 0.0003 * (seed % 3) for seed, value in enumerate(GOOD)]), name="after")
    assert answer(f"baseline={baseline}", "margin=0.1") == 1
    assert answer(f"baseline={baseline}", "margin=0.5") == 0


def test_a_written_file_is_a_baseline_and_the_answer_is_a_junit_report(make_sweep, baseline, tmp_path):
    file, junit = tmp_path / "baseline.json", tmp_path / "junit.xml"
    make_sweep(*made(GOOD), name="same")
    assert answer(f"baseline={baseline}", f"write={file}", f"junit={junit}") == 0
    assert len(json.loads(file.read_text())["values"]) == 5
    assert ElementTree.parse(junit).getroot().get("failures") == "0"
    make_sweep(*made([value - 0.05 for value in GOOD[:4]] + [0.8]), name="worse")
    assert answer(f"baseline={file}", f"junit={junit}") == 1
    (case,) = ElementTree.parse(junit).getroot()
    assert case.find("failure") is not None


def test_where_nothing_was_newly_trained_it_is_undecided(make_sweep, baseline, capsys, tmp_path):
    assert answer(f"baseline={baseline}") == 3
    assert "sweep.rerun=all" in capsys.readouterr().out
    make_sweep(*made(GOOD), name="same")
    file = tmp_path / "baseline.json"
    answer(f"baseline={baseline}", f"write={file}")
    assert answer(f"baseline={file}") == 3


def test_other_seeds_and_the_best_configuration_are_held_against_it(make_sweep, baseline):
    trials = [Made("lstm", seed, value) for seed, value in zip((7, 8, 9), (0.80, 0.81, 0.79), strict=True)]
    make_sweep(*trials, *(Made("simple_rnn", seed, 0.5 + seed / 100) for seed in (7, 8, 9)), name="after")
    assert answer(f"baseline={baseline}") == 1


def test_bad_input(make_sweep, baseline, capsys, tmp_path):
    assert "margin=-1" in refusal(main, ["margin=-1"], capsys)
    assert "no such sweep" in refusal(main, ["baseline=abcd"], capsys)
    assert "not a file" in refusal(main, [f"baseline={tmp_path}/none.json"], capsys)
    make_sweep(*made(GOOD, {"data.split_seed": "3"}), name="other data")
    assert "data block" in refusal(main, [f"baseline={baseline}"], capsys)
    assert "has none" in refusal(main, ["baseline=champion"], capsys)


def test_a_baseline_of_several_data_blocks_is_that_of_the_checked_sweep(make_sweep, capsys):
    other = {"data.split_seed": "3"}
    baseline = make_sweep(*made(GOOD), *made([value + 0.05 for value in GOOD], other), name="before")
    worse = made([value - 0.1 - 0.001 * (seed % 3) for seed, value in enumerate(GOOD)])
    make_sweep(*worse, name="after")
    assert answer(f"baseline={baseline}") == 1
    make_sweep(*worse, *made(GOOD, other), name="both")
    assert "both sweeps have the data blocks" in refusal(main, [f"baseline={baseline}"], capsys)
