"""List the studies, how far each has come and what it took: [study=NAME] [size=full] writes the page of one anew."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from recurrent_cells.cli.arguments import Arguments, run_command
from recurrent_cells.config.extensions import option
from recurrent_cells.config.help import options
from recurrent_cells.config.schema import StudyConfig
from recurrent_cells.errors import UserError

KEYS = {"study": "a study, as its file in conf/study is called", "size": "quick, or full"}
FOLDER = Path("docs/studies")
SIZES = ("quick", "full")


def main(arguments: Sequence[str]) -> None:
    """Print what there is to know of each study, or write the page of one; exits with 2 on bad input."""
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

    print(f"Written: {write_page(archive, replace(study_of(name), size=size))}")


def study_of(name: str) -> StudyConfig:
    """What the file of a study says of it."""
    return StudyConfig(**option("study", name)["study"])


def _lines() -> Iterator[str]:
    from recurrent_cells.reports.progress import progress

    for name in options("study"):
        study = study_of(name)
        archives = [path for size in SIZES if (path := FOLDER / name / f"{size}.parquet").exists()]
        if not archives:
            yield from (f"{name}: not begun", f"  {study.question}")
        for path in archives:
            it = progress(path)
            yield f"{name} ({path.stem}): {it.finished} of {it.planned} trials, {it.core_hours:.2f} core-hours"
            yield f"  {replace(study, size=path.stem).finding or study.question}"
