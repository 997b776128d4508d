import os
import pty
import sys
import termios
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from recurrent_cells.config.schema import Config
from recurrent_cells.sweeps import view
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.sweeps.view import View, rounded
from recurrent_cells.trial.outcome import Outcome

FINISHED = Outcome("finished", {"val/acc": 0.75, "test/acc": 0.5})


def named(name: str) -> Trial:
    return Trial((), {}, Config(), name, name, "", 1)


TRIALS = [named(f"seed={seed}") for seed in range(3)]


def watch(trials=TRIALS) -> View:
    shown = View(lambda: len(trials), slots=2, where="on 2 slots")
    shown.started(trials[0])
    shown.started(trials[1])
    return shown


def test_counts_and_the_best_so_far():
    shown = watch()
    assert shown.status() == "0 done, 2 running, 0 failed, 1 left"
    shown.ended(TRIALS[1], FINISHED)
    shown.ended(TRIALS[0], Outcome("failed", error="broken"))
    shown.started(TRIALS[2])
    status = shown.status()
    assert status.startswith("1 done, 1 running, 1 failed, 0 left; about ")
    assert status.endswith("s left; best 0.7500 (seed=1)")


def test_a_trial_that_others_train_is_none_that_failed():
    shown = watch()
    shown.ended(TRIALS[0], Outcome("busy", error="held"))
    assert shown.status() == "0 done, 1 running, 0 failed, 1 left"


def test_plain_lines_where_there_is_no_terminal(capsys):
    with watch() as shown:
        shown.tick()
        shown.ended(TRIALS[0], FINISHED)
        shown.ended(TRIALS[1], Outcome("killed", error="process 7 was ended by SIGKILL"))
    head, first, second = capsys.readouterr().err.splitlines()
    assert head == "3 trials on 2 slots"
    assert first.startswith("[1/3] seed=0  val 0.7500 test 0.5000  0.0 s  (1 done, 1 running, 0 failed, 1 left; ")
    assert second.startswith("[1/3] seed=1  killed: process 7 was ended by SIGKILL  (1 done, 0 running, 1 failed")


def test_standings_have_a_line_of_their_own(capsys):
    standings = SimpleNamespace(ended=lambda trial, outcome: "2 seeds of each" if trial is TRIALS[1] else "")
    shown = View(lambda: 3, slots=2, where="on 2 slots", standings=standings)
    for trial in TRIALS[:2]:
        shown.started(trial)
        shown.ended(trial, FINISHED)
    first, second, line = capsys.readouterr().err.splitlines()
    assert (first[:5], second[:5], line) == ("[1/3]", "[2/3]", "2 seeds of each")


@contextmanager
def terminal(columns):
    """Standard error as a terminal; the value is called for what was written since, up to some words."""
    keyboard, screen = pty.openpty()
    termios.tcsetwinsize(screen, (24, columns))
    with pytest.MonkeyPatch.context() as patch, os.fdopen(screen, "w") as stream:
        patch.setattr(sys, "stderr", stream)

        def written(end):
            text = ""
            while not text.endswith(end):
                text += os.read(keyboard, 1 << 16).decode()
            return text

        yield written
    os.close(keyboard)


def test_one_line_on_a_terminal_never_wider_than_it(monkeypatch):
    monkeypatch.setattr(view, "SECONDS_BETWEEN_UPDATES", 0.0)
    with terminal(columns=40) as written:
        trials = [named("a" * 60), named("b"), named("c")]
        with watch(trials) as shown:
            shown.ended(trials[0], FINISHED)
            shown.tick()
            above, _, line = written(end="1 left; ").rpartition("\n")
            assert above.count("\n") == 1
            assert line.startswith("\r\x1b[K1 done, 1 running, 0 failed, 1 left")
            assert len(line.removeprefix("\r\x1b[K")) < 40
        assert written(end="K") == "\r\x1b[K"


def test_a_watcher_who_is_gone_costs_nothing(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    broken = os.fdopen(writer, "w")
    for stream in (broken, None):
        monkeypatch.setattr(sys, "stderr", stream)
        with watch() as shown:
            shown.ended(TRIALS[0], FINISHED)
        assert shown.status().startswith("1 done")
    with pytest.raises(BrokenPipeError):
        broken.close()


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0 s"), (99, "99 s"), (4500, "75 min"), (9000, "2.5 h")])
def test_times_are_rounded(seconds, said):
    assert rounded(seconds) == said
