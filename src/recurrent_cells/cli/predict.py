"""Ask a trained network about files: run=ID|best|champion images=FILES or series=FILES [output=text|json]."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from recurrent_cells.cli.arguments import Arguments, run_command
from recurrent_cells.errors import UserError
from recurrent_cells.imports import uncollected

if TYPE_CHECKING:
    from recurrent_cells.inference.prediction import Fault, Prediction
    from recurrent_cells.inference.trained import Trained

KEYS = {
    "run": "a trial's run id or its beginning, best (by validation) or champion (of the registry); "
    "where trials are on several data, best-DATA or champion-DATA",
    "images": "a file, a folder, a pattern in quotes, or - for standard input; may be given several times",
    "series": "the same for a network of series: files of JSON, .npz or CSV",
    "output": "text or json (a line per answer)",
}
FAILED = 1


def main(arguments: Sequence[str]) -> None:
    """Print an answer per image or series; exits with 1 if some could not be read, with 2 on bad input."""
    run_command(__doc__, KEYS, arguments, _predict)


def _predict(arguments: Arguments) -> None:
    run, output = arguments.required("run"), arguments.one_of("output", ("text", "json"))
    given = [key for key in ("images", "series") if arguments.values[key]]
    if len(given) != 1:
        raise UserError(f"images= or series=: {'both' if given else 'neither'} given, allowed is one; {KEYS['images']}")
    (key,) = given

    from recurrent_cells.inference.files import find_files

    files = find_files(key, arguments.values[key])  # before the heavy imports
    with uncollected():
        from recurrent_cells.config.schema import EXPERIMENT
        from recurrent_cells.inference.prediction import Fault, predict_files
        from recurrent_cells.inference.trained import find_winner, load_trained
        from recurrent_cells.tracking.store import open_store
        from recurrent_cells.training.device import use_threads

    store = open_store(EXPERIMENT, reading=True)
    trained = load_trained(store, find_winner(store, run))
    if (key == "images") != trained.network.is_image:
        right = "images" if trained.network.is_image else "series"
        raise UserError(f"{key}=: run {trained.record.name} was trained on {trained.takes}; give {right}=FILES")
    use_threads(trained.config.trainer.threads)
    if output == "text":
        print(f"{trained.record.name}, run {trained.record.run_id}:", flush=True)
    faults = 0
    for result in predict_files(trained, files):
        if isinstance(result, Fault):
            print(_fault(result), file=sys.stderr)
            faults += 1
        else:
            print(_text(result, trained) if output == "text" else _json(result, trained), flush=True)
    if faults:
        sys.exit(FAILED)


def _text(result: "Prediction", trained: "Trained") -> str:
    from recurrent_cells.inference.answers import in_words

    line = _shown(result.file) + ("" if result.series is None else f", series {_shown(result.series)}")
    line += f": {in_words(result.answer, trained.names)}"
    notes = []
    if result.image is not None:
        notes = ["inverted"] * result.image.inverted + ["blank: there is nothing to read"] * result.image.blank
    return "; ".join([line, *notes])


def _json(result: "Prediction", trained: "Trained") -> str:
    from recurrent_cells.inference.answers import as_json

    values: dict[str, Any] = {"file": result.file} | ({} if result.series is None else {"series": result.series})
    values |= as_json(result.answer, trained.class_names)
    if result.image is not None:
        values |= {"inverted": result.image.inverted, "blank": result.image.blank}
    return json.dumps(values)


def _fault(fault: "Fault") -> str:
    return " ".join(f"{_shown(fault.file)}: {fault.reason}".split())


def _shown(file: str) -> str:
    """A file name on one line, whatever it is made of."""
    return file if file.isprintable() else ascii(file)
