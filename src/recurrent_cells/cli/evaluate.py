"""Evaluate a trained network: run=RUN_ID|best|champion [data=NAME] [data.root=FOLDER|FILE]."""

import json
import sys
from collections.abc import Sequence

from recurrent_cells.cli.arguments import Arguments, run_command
from recurrent_cells.config.extensions import load
from recurrent_cells.config.schema import EXPERIMENT
from recurrent_cells.imports import uncollected
from recurrent_cells.tables import SOURCES

KEYS = {
    "run": "a trial's run id or its beginning, best (by validation) or champion (of the registry); "
    "where trials are on several data, best-DATA or champion-DATA",
    "data": f"test examples of another data set: one of {', '.join(SOURCES.names)}, or of extensions",
    "data.root": "the folder of its files, or the file",
    "extensions": "a Python file that adds a data source; may be given several times",
    "output": "text or json",
}


def main(arguments: Sequence[str]) -> None:
    """Print what a network is worth on test examples; exits with 2 on bad input."""
    run_command(__doc__, KEYS, arguments, _evaluate)


def _evaluate(arguments: Arguments) -> None:
    run, output = arguments.required("run"), arguments.one_of("output", ("text", "json"))
    data = arguments.get("data")
    load(arguments.values["extensions"])

    with uncollected():
        from recurrent_cells.inference.evaluation import as_json, evaluate
        from recurrent_cells.inference.held_out import load_held_out
        from recurrent_cells.inference.scores import as_text
        from recurrent_cells.inference.trained import find_winner, load_trained
        from recurrent_cells.tracking.store import open_store

    store = open_store(EXPERIMENT, reading=True)
    trained = load_trained(store, find_winner(store, run))
    held_out = load_held_out(trained, data, arguments.get("data.root"))
    if held_out.warning:
        print(held_out.warning, file=sys.stderr)
    evaluation = evaluate(trained, held_out)
    print(json.dumps(as_json(evaluation)) if output == "json" else as_text(evaluation))
