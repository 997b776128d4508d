"""Report on a sweep: python -m src.report [sweep=ID|latest|ID,ID] [metric=test/acc]."""

import sys
from collections.abc import Sequence

from src.errors import UserError

EXPERIMENT = "recurrent-cells"
KEYS = {
    "sweep": "latest, a sweep's run id or its beginning, or several with commas between",
    "metric": "a metric of the trials, such as test/acc or test/loss",
}


def main(arguments: Sequence[str]) -> None:
    """Write the report and say where it is; exits with 2 on bad input."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print("\n".join([str(__doc__), *(f"  {key}: {words}" for key, words in KEYS.items())]))
        return
    try:
        chosen = _parse(arguments)
        from src.reports.write import DEFAULT_METRIC, write_report
        from src.tracking.store import open_store

        store = open_store(EXPERIMENT)
        written = write_report(store, chosen.get("sweep", "latest"), chosen.get("metric", DEFAULT_METRIC))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print("\n".join([*written.headline, f"Report: {written.page}"]))


def _parse(arguments: Sequence[str]) -> dict[str, str]:
    """Raises UserError for a key there is not, or one without a value."""
    chosen: dict[str, str] = {}
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key not in KEYS:
            raise UserError(f"{argument}: no such key; allowed are {', '.join(f'{name}=' for name in KEYS)}")
        if not value:
            raise UserError(f"{argument}: a value is missing; allowed is {KEYS[key]}")
        chosen[key] = value
    return chosen


if __name__ == "__main__":
    main(sys.argv[1:])
