"""A process ends with its code and all its output, as Python would have ended it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def run(body: str, **settings):
    lines = ["import atexit, sys, threading, time", "from recurrent_cells.cli.leaving import run_and_leave", body]
    return subprocess.run([sys.executable, "-c", "\n".join(lines)], text=True, capture_output=True, **settings)


@pytest.mark.parametrize(
    ("leaving", "code", "said"),
    [
        ("pass", 0, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit(2)", 2, ""),
        ("sys.exit('no such port')", 1, "no such port\n"),
        ("raise KeyboardInterrupt", 130, ""),
    ],
)
def test_the_code_is_that_of_the_entry(leaving, code, said):
    ended = run(f"def main():\n  print('done', end='')\n  {leaving}\nrun_and_leave(main)")
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "done", said)


def test_what_an_entry_raises_passes_through():
    ended = run("def main():\n  raise RuntimeError('broken')\nrun_and_leave(main)")
    assert ended.returncode == 1
    assert ended.stderr.endswith("RuntimeError: broken\n")


def test_threads_and_what_waits_for_the_end_come_first():
    ended = run(
        "def late():\n  time.sleep(0.3); print('thread')\n"
        "def main():\n  atexit.register(print, 'exit'); threading.Thread(target=late).start(); print('main')\n"
        "run_and_leave(main)"
    )
    assert ended.stdout == "main\nthread\nexit\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_who_leaves_early_is_told_by_the_code_alone(unbuffered):
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from recurrent_cells.cli import leaving\nleaving.run_and_leave(lambda: print('lost'))",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
    ) as process:
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 141)


def test_output_that_has_no_room_is_told_by_the_code():
    with Path("/dev/full").open("w") as full:
        body = "from recurrent_cells.cli import leaving\nleaving.run_and_leave(lambda: print('lost'))"
        environment = os.environ | {"PYTHONUNBUFFERED": ""}
        assert subprocess.run([sys.executable, "-c", body], stdout=full, env=environment).returncode == 120
