"""Report on a sweep: python -m src.report [sweep=ID|latest|ID,ID] [metric=test/acc]."""

import sys
from collections.abc import Sequence

from src.arguments import Arguments, run_command
from src.leaving import run_and_leave

KEYS = {
    "sweep": "latest, a sweep's run id or its beginning, or several with commas between",
    "metric": "a metric of the trials, such as test/acc or test/loss",
}


def main(arguments: Sequence[str]) -> None:
    """Write the report and say where it is; exits with 2 on bad input."""
    run_command(__doc__, KEYS, arguments, _report)


def _report(arguments: Arguments) -> None:
    from src.config import EXPERIMENT
    from src.reports.write import DEFAULT_METRIC, LATEST, write_report
    from src.tracking.store import open_store

    store = open_store(EXPERIMENT)
    written = write_report(store, arguments.get("sweep") or LATEST, arguments.get("metric") or DEFAULT_METRIC)
    print("\n".join([*written.headline, f"Report: {written.page}"]))


if __name__ == "__main__":
    run_and_leave(lambda: main(sys.argv[1:]))
