"""Export a trained network: run=RUN_ID|best|champion format=onnx|torch [to=FILE]."""

import sys
from collections.abc import Sequence

from recurrent_cells.cli.arguments import Arguments, run_command
from recurrent_cells.errors import ExportError
from recurrent_cells.imports import uncollected
from recurrent_cells.paths import of_user

FAILED = 1
KEYS = {
    "run": "a trial's run id or its beginning, best (by validation) or champion (of the registry); "
    "where trials are on several data, best-DATA or champion-DATA",
    "format": "onnx or torch (a torch.export program, .pt2)",
    "to": "the file to write; by default the run's name in this folder",
}


def main(arguments: Sequence[str]) -> None:
    """Write a network to a file and check that the file answers as the network does; exits with 2 on bad input."""
    try:
        run_command(__doc__, KEYS, arguments, _export)
    except ExportError as error:
        print(error, file=sys.stderr)
        sys.exit(FAILED)


def _export(arguments: Arguments) -> None:
    run = arguments.required("run")
    arguments.required("format")
    form = arguments.one_of("format", ("onnx", "torch"))

    with uncollected():
        from recurrent_cells.config.schema import EXPERIMENT
        from recurrent_cells.inference.export import SUFFIX, check_packages, description, export
        from recurrent_cells.inference.trained import find_winner, load_trained
        from recurrent_cells.tracking.store import open_store

    check_packages(form)
    store = open_store(EXPERIMENT, reading=True)
    trained = load_trained(store, find_winner(store, run))
    path = of_user(arguments.get("to") or f"{trained.record.name}{SUFFIX[form]}")
    difference = export(trained, form, path)
    print(f"{path}: {description(trained)}")
    print(f"its outputs differ by at most {difference:.1e} from those of run {trained.record.run_id}")
