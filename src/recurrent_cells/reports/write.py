"""Writing a report: a folder with the page, Markdown, figures and tables, and the same in MLflow."""

import csv
import io
import logging
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from recurrent_cells.errors import UserError, first_line
from recurrent_cells.paths import REPORTS, TRACKING, command
from recurrent_cells.reports.compose import compose, headline
from recurrent_cells.reports.contest import contest_of
from recurrent_cells.reports.document import Columns, Document, Pictures, Table
from recurrent_cells.reports.forms import CSV, HTML, LATEX, PARQUET, PDF, as_latex, print_page, write_data
from recurrent_cells.reports.markdown import as_markdown, as_table
from recurrent_cells.reports.page import as_html
from recurrent_cells.sweeps.results import LATEST, SweepData, read_sweeps
from recurrent_cells.tracking.names import Artifact, Tag
from recurrent_cells.tracking.store import Store

PAGE, MARKDOWN = "report.html", "report.md"
DPI = 110

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Written:
    """A report on disk: its page, the sentences that matter most, and the files of another form."""

    page: Path
    headline: tuple[str, ...]
    files: tuple[Path, ...] = ()


def write_report(
    store: Store, which: str = LATEST, metric: str | None = None, margin: float | None = None, form: str = HTML
) -> Written:
    """Report on a sweep, or on several joined, into `reports/` and into the parent runs.

    Args:
        metric: by which to compare; the one that judges the trials, on the test data, if it is None.
        margin: within which to call configurations equal; in points for a share.
        form: in which to write it beside the page: csv, parquet, latex or pdf.

    Raises:
        UserError: if there is no such sweep, no finished trial has the metric, or the report cannot be written.
    """
    store, data = read_sweeps(store, which)
    contest = contest_of(store, data, metric, margin) if data.finished else None
    document = compose(store, data, contest)
    folder = _folder(store, data)
    try:
        _write(document, folder, _footer(data))
        files: list[Path] = []
        if form in (CSV, PARQUET):
            files = write_data(form, folder, store, data, contest)
        elif form == LATEX:
            files = [folder / "results.tex"]
            files[0].write_text(as_latex(document))
        elif form == PDF:
            files = [print_page(folder / PAGE)]
    except OSError as error:
        raise UserError(
            f"{folder}: the report cannot be written there ({error.strerror}); "
            "set RECURRENT_CELLS_HOME to a folder that can be, and MLFLOW_TRACKING_URI to the store"
        ) from None
    for sweep in data.sweeps if store.original is None else ():
        joined = len(data.sweeps) > 1
        place = f"{Artifact.REPORT}/joined-{folder.name}" if joined else Artifact.REPORT
        store.client.log_artifacts(sweep.run_id, str(folder), place)
        if not joined:
            store.client.set_tag(sweep.run_id, Tag.NOTE, _note(document))
    return Written(folder / PAGE, tuple(headline(document)), tuple(files))


def report_sweep(store: Store, run_id: str) -> None:
    """Write the report at the end of a sweep; an error is logged as one line, since the sweep itself has succeeded."""
    try:
        written = write_report(store, run_id)
        print("\n".join([*written.headline, f"Report: {written.page}"]))
    except Exception as error:
        log.warning(
            "no report could be written (%s): %s sweep=%s tries again", first_line(error), command("report"), run_id
        )


def _folder(store: Store, data: SweepData) -> Path:
    """A folder in `reports/` for the project's own store or one that cannot be written, else beside the store."""
    own = store.folder == TRACKING or TRACKING in store.folder.parents or store.original is not None
    ids = [sweep.run_id for sweep in data.sweeps]
    name = ids[0] if len(ids) == 1 else "+".join(run_id[:8] for run_id in ids)
    return (REPORTS if own else store.folder / "reports") / name


def _footer(data: SweepData) -> str:
    runs = ", ".join(f"{sweep.run_id} ({sweep.status.lower()})" for sweep in data.sweeps)
    return f"Sweep {runs}: {len(data.finished)} of {len(data.trials)} trials finished."


def _write(document: Document, folder: Path, footer: str) -> None:
    for name in ("figures", "tables"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for path in (folder / name).iterdir():  # of a report written before
            path.unlink()
    svg: dict[str, str] = {}
    for block in document.blocks:
        if isinstance(block, Pictures):
            for picture in block.pictures:
                svg[picture.name] = _draw(picture.figure, folder / "figures" / picture.name)
        elif isinstance(block, Table):
            (folder / "tables" / f"{block.name}.csv").write_text(as_csv(block))
    (folder / PAGE).write_text(as_html(document, svg, footer))
    (folder / MARKDOWN).write_text(as_markdown(document, footer))


def save_picture(figure: Figure, path: Path) -> None:
    """Save a figure as PNG."""
    FigureCanvasAgg(figure)
    figure.savefig(path.with_suffix(".png"), dpi=DPI, metadata={"Software": None})


def _draw(figure: Figure, path: Path) -> str:
    """Save a figure as PNG and SVG, the same bytes for equal figures; returns the SVG."""
    save_picture(figure, path)
    figure.set_layout_engine("none")  # as the first drawing laid it out: looking for room takes most of the time
    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": path.name}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    path.with_suffix(".svg").write_text(text.getvalue())
    return text.getvalue()


def as_csv(table: Table) -> str:
    columns: Columns = table.columns if table.raw is None else table.raw
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *zip(*columns.values(), strict=True)])
    return text.getvalue()


def _note(document: Document) -> str:
    """The description of the parent run in MLflow's UI: verdict, table, where the report lies."""
    tables = [as_table(block) for block in document.blocks if isinstance(block, Table) and block.name == "results"]
    return "\n\n".join([*headline(document), *tables, f"The whole report: Artifacts → {Artifact.REPORT}/{PAGE}"])
