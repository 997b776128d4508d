"""Read images with a trained network: run=ID|best|champion images=FILES [output=text|json]."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from recurrent_cells.cli.arguments import Arguments, run_command

if TYPE_CHECKING:
    from recurrent_cells.inference.prediction import Fault, Prediction

KEYS = {
    "run": "a trial's run id or its beginning, best (by validation) or champion (of the registry); "
    "where trials are on several data, best-DATA or champion-DATA",
    "images": "a file, a folder, a pattern in quotes, or - for standard input; may be given several times",
    "output": "text or json (a line per image)",
}
FAILED, INTERRUPTED = 1, 130


def main(arguments: Sequence[str]) -> None:
    """Print an answer per image; exits with 1 if some could not be read, with 2 on bad input."""
    try:
        run_command(__doc__, KEYS, arguments, _predict)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _predict(arguments: Arguments) -> None:
    run, output = arguments.required("run"), arguments.one_of("output", ("text", "json"))
    arguments.required("images")

    from recurrent_cells.inference.files import find_files

    files = find_files(arguments.values["images"])  # before the heavy imports
    from recurrent_cells.config.schema import EXPERIMENT
    from recurrent_cells.inference.prediction import Fault, predict_files
    from recurrent_cells.inference.trained import find_winner, load_trained
    from recurrent_cells.tracking.store import open_store
    from recurrent_cells.training.device import use_threads

    store = open_store(EXPERIMENT, reading=True)
    trained = load_trained(store, find_winner(store, run))
    trained.check_classes()
    use_threads(trained.config.trainer.threads)
    if output == "text":
        print(f"{trained.record.name}, run {trained.record.run_id}:", flush=True)
    faults = 0
    for result in predict_files(trained, files):
        if isinstance(result, Fault):
            print(_fault(result), file=sys.stderr)
            faults += 1
        else:
            print(_text(result) if output == "text" else _json(result), flush=True)
    if faults:
        sys.exit(FAILED)


def _text(result: "Prediction") -> str:
    image, answer = result.image, result.answer
    line = f"{_shown(result.file)}: {answer.label} ({answer.probability:.1%})"
    line += f", or {answer.runner_up} ({answer.runner_up_probability:.1%})"
    notes = ["inverted"] * image.inverted + ["blank: there is nothing to read"] * image.blank
    return "; ".join([line, *notes])


def _json(result: "Prediction") -> str:
    image, answer = result.image, result.answer
    values = {"file": result.file, **vars(answer), "inverted": image.inverted, "blank": image.blank}
    return json.dumps(values)


def _fault(fault: "Fault") -> str:
    return " ".join(f"{_shown(fault.file)}: {fault.reason}".split())


def _shown(file: str) -> str:
    """A file name on one line, whatever it is made of."""
    return file if file.isprintable() else ascii(file)
