"""The record says what the lines say."""

import sys

import pytest

from benchmarks.gpu_check import __main__ as door
from benchmarks.gpu_check.lines import Lines
from benchmarks.gpu_check.record import name, record

SHAPE = {"cell": "lstm", "hidden_size": 128, "precision": "32-true", "kernel": "torch", "tf32": True}
COMMAND = "python -m benchmarks.gpu_check --data mnist"


@pytest.fixture
def lines(tmp_path):
    found = Lines(tmp_path / "results.jsonl")

    def add(stage, step, point, **more):
        found.add({"stage": stage, "step": step, "point": point, "seconds": 1.0} | more)

    add(1, "versions", "machine", result={"name": "Some GPU 80GB", "machine": "2026-01-01, Some CPU", "CUDA": "13.0"})
    add(1, "capture", "lstm, 32-true, K = 1", error="RuntimeError: no capture")
    add(2, "solo", "LSTM 128", result={"rounds": {"harness": [0.001, 0.001], "bare": [0.002, 0.003]}})
    one_by_one = {"bare": 0.002, "bare:graph": 0.0005}
    add(3, "packs", "lstm 128, one by one", result={"shape": SHAPE, "one by one": one_by_one})
    pack = {"shape": SHAPE, "count": 64, "seconds": 0.0016, "memory": 2**20}
    add(3, "packs", "lstm 128, torch, K = 64", result=pack, warnings=["nothing is free"])
    add(3, "packs", "lstm 128, torch, K = 256", result=pack | {"count": 256, "seconds": None})
    ran = {"command": "model=lstm", "trials": 64, "finished": 64, "whole": 32.0, "before": 9.0, "training": 20.0}
    add(3, "sweeps", "lstm, in packs", result=ran)
    add(3, "sweeps", "lstm, one after another", result=ran | {"trials": 6, "finished": 6, "training": 30.0})
    found.add({"stage": 3, "step": "sweeps", "over": True})
    found.add({"call": COMMAND, "seconds": 539.0, "left": ["stage 4, memory: what is not measured yet"]})
    return found


def test_it_names_device_and_command_and_its_file_is_named_after_the_device(lines):
    text = record(lines)
    assert text.startswith("# First minutes on Some GPU 80GB\n")
    assert f"`{COMMAND}`: 539 s" in text
    assert name(lines) == "gpu_some_gpu_80gb.md"


def test_gains_are_over_graphed_trials_one_after_another(lines):
    assert "| lstm | 128 | 32-true, TF32 | torch | 2.00 ms | 0.50 ms | 1.60 ms (20.0 ×, 1 MiB) |" in record(lines)


def test_a_network_alone_is_compared_in_turn(lines):
    assert "| LSTM 128 | 1.000 | 2.500 (2.50) |" in record(lines)


def test_whole_commands_are_compared_with_trials_that_have_started(lines):
    assert "| lstm | 7,200 | 720 | 10.0 |" in record(lines)


def test_what_failed_was_warned_of_or_is_left_stands_at_the_end(lines):
    end = record(lines).partition("## What failed")[2]
    assert "- capture, lstm, 32-true, K = 1: RuntimeError: no capture" in end
    assert "- packs, lstm 128, torch, K = 64: nothing is free" in end
    assert "- stage 3, packs: 3 points so far" in end
    assert "- stage 4, memory: 0 points so far" in end
    assert "stage 3, sweeps" not in end


def test_lines_of_which_no_table_can_be_made_cost_no_other_table(lines):
    lines.add({"stage": 4, "step": "memory", "point": "lstm", "seconds": 1.0, "result": {"most": 3}})
    assert "No table could be made" in record(lines)
    assert "## 2. One network at a time" in record(lines)


def test_the_record_alone_is_written_from_the_lines(lines, monkeypatch, capsys):
    folder = lines.path.parent
    monkeypatch.setattr(sys, "argv", ["gpu_check", "--record", "--out", str(folder)])
    before = lines.read()
    door.main()
    assert (folder / "gpu_some_gpu_80gb.md").read_text() == record(lines)
    assert lines.read() == before
