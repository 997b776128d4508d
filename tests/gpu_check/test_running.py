"""Steps run in processes of their own, under limits, and go on where their lines end."""

import time

import pytest

from benchmarks.gpu_check import running
from benchmarks.gpu_check.check import Check
from benchmarks.gpu_check.lines import Lines
from benchmarks.gpu_check.running import NoGpu, Runner, Step

UNRULY = Step(1, "unruly", "tests.gpu_check.unruly")
LONG = Step(1, "long", "tests.gpu_check.long")


@pytest.fixture
def lines(tmp_path):
    return Lines(tmp_path / "out" / "results.jsonl")


def run(lines, seconds=60.0, device="cpu", again=False, steps=(UNRULY,)):
    check = Check(device, None, lines.path.parent)
    return Runner(check, lines, time.monotonic() + seconds, again).run(steps)


def told(lines):
    return [(line["point"], line.get("result") or line["error"]) for line in lines.read() if "point" in line]


def test_a_point_that_fails_dies_or_hangs_is_told_of_and_the_others_are_measured(lines):
    assert run(lines) == []
    assert told(lines) == [
        ("good", {"value": 1}),
        ("bad", "ValueError: comes of it"),
        ("gone", "the process ended with 7: see log.txt"),
        ("slow", "ended after 1.5 s"),
        ("last", {"value": 2}),
    ]
    assert all(line["stage"] == 1 and line["step"] == "unruly" for line in lines.read())
    assert all("seconds" in line for line in lines.points("unruly").values() if line["point"] != "gone")


def test_the_next_call_measures_what_is_not_known(lines):
    for point in ("good", "gone", "slow"):
        lines.add({"stage": 1, "step": "unruly", "point": point, "seconds": 0.1, "result": {"value": 0}})
    lines.add({"stage": 1, "step": "unruly", "point": "bad", "seconds": 0.1, "error": "as ever"})
    assert run(lines) == []
    assert told(lines)[4:] == [("last", {"value": 2})]
    assert run(lines) == []
    assert len(told(lines)) == 5
    assert run(lines, again=True) == []
    assert told(lines)[5:] == [("bad", "ValueError: comes of it")]


def test_what_does_not_fit_is_left_and_not_counted_as_failed(lines):
    assert run(lines, seconds=0.1) == ["stage 1, unruly: what is not measured yet"]
    assert lines.read() == []
    for point in ("good", "bad", "gone"):
        lines.add({"stage": 1, "step": "unruly", "point": point, "seconds": 0.1, "result": {"value": 0}})
    started = time.monotonic()
    assert run(lines, seconds=10.9)[0].startswith("stage 1, unruly: ")
    assert time.monotonic() - started < 20


def test_every_step_has_its_share_of_time_before_a_long_one_goes_on(lines, monkeypatch):
    monkeypatch.setattr(running, "START", 0)
    assert run(lines, steps=[LONG, UNRULY]) == []
    points = [line["point"] for line in lines.read() if "point" in line]
    assert points == ["one", "good", "bad", "gone", "slow", "last", "two", "three"]


def test_a_line_cut_off_is_as_if_it_were_not_there(lines):
    lines.add({"stage": 1, "step": "unruly", "point": "good", "seconds": 0.1, "result": {"value": 3}})
    with lines.path.open("a") as file:
        file.write('{"stage": 1, "step": "unru')
    assert list(lines.points("unruly")) == ["good"]


@pytest.mark.slow
def test_without_a_gpu_the_check_of_one_says_so(lines, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(NoGpu):
        run(lines, device="gpu")
    assert lines.read() == []
