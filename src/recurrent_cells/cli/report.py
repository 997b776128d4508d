"""Report on a sweep: [sweep=ID|latest|ID,ID] [metric=test/acc] [margin=POINTS] [format=csv]."""

from collections.abc import Sequence

from recurrent_cells.cli.arguments import Arguments, run_command
from recurrent_cells.config.rules import number
from recurrent_cells.imports import uncollected

KEYS = {
    "sweep": "latest, a sweep's run id or its beginning, or several with commas between",
    "metric": "a metric of the trials, such as test/acc or test/loss",
    "margin": "within which to call configurations equal: points for accuracies, else in the metric's unit",
    "format": "html, or beside the page csv, parquet (of trials, curves and verdict), latex (of the results) or pdf",
}


def main(arguments: Sequence[str]) -> None:
    """Write the report and say where it is; exits with 2 on bad input."""
    run_command(__doc__, KEYS, arguments, _report)


def _report(arguments: Arguments) -> None:
    with uncollected():
        from recurrent_cells.config.schema import EXPERIMENT
        from recurrent_cells.reports.forms import FORMS, check_form
        from recurrent_cells.reports.write import LATEST, write_report
        from recurrent_cells.tracking.store import open_store

    form, margin = arguments.one_of("format", FORMS), arguments.number("margin", number(0, above=True))
    check_form(form)
    store = open_store(EXPERIMENT, reading=True)
    written = write_report(store, arguments.get("sweep") or LATEST, arguments.get("metric"), margin, form)
    print("\n".join([*written.headline, f"Report: {written.page}", *(f"Written: {path}" for path in written.files)]))
