"""List the studies, how far each has come and what it took: [study=NAME] [size=full] writes the page of one anew."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from recurrent_cells.cli.arguments import Arguments, run_command
from recurrent_cells.config.help import options
from recurrent_cells.errors import UserError

KEYS = {"study": "a study, as its file in conf/study is called", "size": "quick, or full"}
FOLDER = Path("docs/studies")
SIZES = ("quick", "full")


def main(arguments: Sequence[str]) -> None:
    """Print a line for each study, or write the page of one; exits with 2 on bad input."""
    run_command(__doc__, KEYS, arguments, _studies)


def _studies(arguments: Arguments) -> None:
    name, size = arguments.get("study"), arguments.one_of("size", SIZES)
    if name is None:
        print("\n".join(_lines()))
        return
    if name not in options("study"):
        raise UserError(f"study={name}: no such study; allowed is {', '.join(options('study'))}")
    archive = FOLDER / name / f"{size}.parquet"
    if not archive.exists():
        raise UserError(f"study={name}: {archive} is not there yet; the command of the study writes it")

    from recurrent_cells.reports.study import write_page

    print(f"Written: {write_page(archive)}")


def _lines() -> Iterator[str]:
    from recurrent_cells.reports.study import progress

    for name in options("study"):
        archives = [path for size in SIZES if (path := FOLDER / name / f"{size}.parquet").exists()]
        for path in archives:
            it = progress(path)
            yield f"{name} ({it.study.size}): {it.finished} of {it.planned} trials, {it.core_hours:.2f} core-hours"
            yield f"  {it.study.finding or it.study.question}"
        if not archives:
            yield f"{name}: not begun"
