"""A report in other forms beside its page: data for other programs, a table for a paper, a file to print."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from recurrent_cells.errors import UserError
from recurrent_cells.reports.contest import Contest
from recurrent_cells.reports.document import Document, Table, Text
from recurrent_cells.reports.frames import curves_frame, trials_frame, verdict_frame
from recurrent_cells.sweeps.results import SweepData
from recurrent_cells.tracking.store import Store

HTML, CSV, PARQUET, LATEX, PDF = FORMS = ("html", "csv", "parquet", "latex", "pdf")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SECONDS_TO_PRINT = 120
SIGNS = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "<": r"$<$",
    ">": r"$>$",
}


def check_form(form: str) -> None:
    """Raises UserError if a report cannot be had in this form here."""
    if form == PDF:
        _browser()


def write_data(form: str, folder: Path, store: Store, data: SweepData, contest: Contest | None) -> list[Path]:
    """Write the trials of a sweep, their curves and the verdict on each pair as csv or parquet; the files."""
    frames = {
        "trials": trials_frame(data),
        "curves": curves_frame(store, data),
        "verdict": pd.DataFrame() if contest is None else verdict_frame(contest),
    }
    paths = []
    for name, frame in frames.items():
        path = folder / f"{name}.{form}"
        write: Callable[..., None] = frame.to_csv if form == CSV else frame.to_parquet
        write(path, index=False)
        paths.append(path)
    return paths


def as_latex(document: Document) -> str:
    """The table of configurations with booktabs, and below it what is concluded."""
    sentences = [_latex(block.text) for block in document.blocks if isinstance(block, Text) and block.strong]
    tables = [_table(block) for block in document.blocks if isinstance(block, Table) and block.name == "results"]
    return "\n\n".join(["% \\usepackage{booktabs}", *tables, *sentences]) + "\n"


def print_page(page: Path) -> Path:
    """Print a report's page into a PDF beside it, with all that the page shows on demand.

    Raises:
        UserError: if there is no browser, or it does not print.
    """
    target = page.with_suffix(".pdf")
    with tempfile.TemporaryDirectory() as scratch:
        opened = Path(scratch) / page.name
        opened.write_text(page.read_text().replace("<details>", "<details open>"))
        flags = ["--headless", "--disable-gpu", "--no-pdf-header-footer", f"--user-data-dir={scratch}/profile"]
        flags += ["--no-sandbox"] if os.geteuid() == 0 else []
        command = [_browser(), *flags, f"--print-to-pdf={target}", opened.as_uri()]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=SECONDS_TO_PRINT)
        except (OSError, subprocess.SubprocessError) as error:
            raise UserError(f"format=pdf: the browser does not print ({error}); the page is {page}") from None
    return target


def _browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        names = ", ".join(BROWSERS)
        raise UserError(f"format=pdf: no browser prints it, looked for {names}; install one, or print report.html")
    return found


def _table(table: Table) -> str:
    columns = "l" + "r" * (len(table.columns) - 1)
    rows = [_row(table.columns), r"\midrule", *map(_row, table.rows)]
    body = "\n".join(f"    {row}" for row in [r"\toprule", *rows, r"\bottomrule"])
    lines = [r"\begin{table}", r"  \centering", f"  \\caption{{{_latex(table.title)}.}}"]
    return "\n".join([*lines, f"  \\begin{{tabular}}{{{columns}}}", body, r"  \end{tabular}", r"\end{table}"])


def _row(cells: Iterable[str]) -> str:
    return " & ".join(map(_latex, cells)) + r" \\"


def _latex(text: str) -> str:
    return "".join(SIGNS.get(sign, sign) for sign in text)
