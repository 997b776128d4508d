"""Read images with a trained network: python -m src.predict run=ID|best|champion images=FILES [output=text|json]."""

import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from src.errors import UserError

if TYPE_CHECKING:
    from src.inference.prediction import Fault, Prediction

EXPERIMENT = "recurrent-cells"
KEYS = {
    "run": "a trial's run id or its beginning, best or champion",
    "images": "a file, a folder, a pattern in quotes, or - for standard input; may be given several times",
    "output": "text or json (a line per image)",
}
OUTPUTS = ("text", "json")


def main(arguments: Sequence[str]) -> None:
    """Print an answer per image; exits with 1 if some could not be read, with 2 on bad input."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print("\n".join([str(__doc__), *(f"  {key}: {words}" for key, words in KEYS.items())]))
        return
    try:
        run, images, output = _parse(arguments)
        faults = _predict(run, images, output)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    if faults:
        sys.exit(1)


def _predict(run: str, images: Sequence[str], output: str) -> int:
    """How many files could not be answered."""
    from src.inference.files import find_files

    files = find_files(images)  # before the heavy imports
    import torch

    from src.inference.prediction import Fault, predict_files
    from src.inference.trained import find_winner, load_trained
    from src.tracking.store import open_store

    store = open_store(EXPERIMENT)
    trained = load_trained(store, find_winner(store, run))
    torch.set_num_threads(trained.config.trainer.threads)
    if output == "text":
        print(f"{trained.record.name}, run {trained.record.run_id}:", flush=True)
    faults = 0
    for result in predict_files(trained, files):
        if isinstance(result, Fault):
            print(_fault(result), file=sys.stderr)
            faults += 1
        else:
            print(_text(result) if output == "text" else _json(result), flush=True)
    return faults


def _parse(arguments: Sequence[str]) -> tuple[str, list[str], str]:
    """Raises UserError for a key there is not, one without a value, or one that is missing."""
    chosen: dict[str, list[str]] = {key: [] for key in KEYS}
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key not in KEYS:
            raise UserError(f"{argument}: no such key; allowed are {', '.join(f'{name}=' for name in KEYS)}")
        if not value:
            raise UserError(f"{argument}: a value is missing; allowed is {KEYS[key]}")
        chosen[key].append(value)
    for key in ("run", "images"):
        if not chosen[key]:
            raise UserError(f"{key}= is missing; allowed is {KEYS[key]}")
    output = (chosen["output"] or [OUTPUTS[0]])[-1]
    if output not in OUTPUTS:
        raise UserError(f"output={output}: allowed is {KEYS['output']}")
    return chosen["run"][-1], chosen["images"], output


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


if __name__ == "__main__":
    main(sys.argv[1:])
