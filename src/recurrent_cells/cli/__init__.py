"""The commands: `recurrent-cells COMMAND …`, and `python -m src.COMMAND …` in the repository."""

import importlib
import sys

from recurrent_cells.cli.leaving import run_and_leave

COMMANDS = ("train", "report", "evaluate", "predict", "export", "serve", "ui", "doctor")


def main(command: str | None = None) -> None:
    """Run a command on the rest of the command line; without one, the first argument names it."""
    if command is None:
        command = sys.argv.pop(1) if len(sys.argv) > 1 else ""
        if command not in COMMANDS:
            asked = command in ("-h", "--help")
            print(f"recurrent-cells {'|'.join(COMMANDS)} …", file=sys.stdout if asked else sys.stderr)
            sys.exit(0 if asked else 2)
    run = importlib.import_module(f"recurrent_cells.cli.{command}").main
    run_and_leave(lambda: run(sys.argv[1:]))
