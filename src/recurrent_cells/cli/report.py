"""Report on a sweep: [sweep=ID|latest|ID,ID] [metric=test/acc]."""

from collections.abc import Sequence

from recurrent_cells.cli.arguments import Arguments, run_command

KEYS = {
    "sweep": "latest, a sweep's run id or its beginning, or several with commas between",
    "metric": "a metric of the trials, such as test/acc or test/loss",
}


def main(arguments: Sequence[str]) -> None:
    """Write the report and say where it is; exits with 2 on bad input."""
    run_command(__doc__, KEYS, arguments, _report)


def _report(arguments: Arguments) -> None:
    from recurrent_cells.config.schema import EXPERIMENT
    from recurrent_cells.reports.write import LATEST, write_report
    from recurrent_cells.tracking.store import open_store

    store = open_store(EXPERIMENT, reading=True)
    written = write_report(store, arguments.get("sweep") or LATEST, arguments.get("metric"))
    print("\n".join([*written.headline, f"Report: {written.page}"]))
