"""The commands: `recurrent-cells COMMAND …`, and `python -m src.COMMAND …` in the repository."""

import ast
import difflib
import importlib
import os
import sys
from functools import partial
from pathlib import Path

from recurrent_cells.cli.leaving import run_and_leave
from recurrent_cells.scratch import take_scratch

COMMANDS = (
    *("train", "watch", "stop", "report", "check", "studies"),
    *("evaluate", "predict", "export", "serve", "ui", "doctor", "series"),
)


def main(name: str | None = None) -> None:
    """Run a command on the rest of the command line; without a name, the first argument is it."""
    if name is None:
        name = _asked_for()
    run_and_leave(partial(_run, name))


def _run(name: str) -> None:
    command = importlib.import_module(f"recurrent_cells.cli.{name}")
    take_scratch()
    command.main(sys.argv[1:])


def _asked_for() -> str:
    """The command that the command line begins with; ends the process where there is none."""
    if sys.argv[1:2] in (["-sc"], ["--shell-completion"]):
        return _completed()
    name = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if name in COMMANDS:
        return name
    if name in ("", "-h", "--help"):
        print("\n".join(_help()), file=sys.stdout if name else sys.stderr)
        sys.exit(0 if name else 2)
    meant = difflib.get_close_matches(name, COMMANDS, n=1)
    way_out = f"did you mean {meant[0]}?" if meant else f"allowed are {', '.join(COMMANDS)}"
    print(f"{name}: no such command; {way_out}", file=sys.stderr)
    sys.exit(2)


def _help() -> list[str]:
    lines = ["recurrent-cells COMMAND …, each with a --help of its own:", ""]
    for name in COMMANDS:
        description = ast.get_docstring(ast.parse((Path(__file__).parent / f"{name}.py").read_text())) or ""
        lines.append(f"  {name:<10}{description.splitlines()[0].partition(': ')[0].removesuffix('.')}")
    return lines


def _completed() -> str:
    """The command whose arguments a shell completes, its name taken out of the line; else prints those there are."""
    program, *words = os.environ.get("COMP_LINE", "recurrent-cells train ").split(" ")
    if len(words) < 2:
        print(*(name for name in COMMANDS if name.startswith("".join(words))))
    if words[0] != "train" or len(words) < 2:
        sys.exit()
    os.environ["COMP_LINE"] = " ".join([program, *words[1:]])
    return "train"
