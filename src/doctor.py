"""List and repair runs whose status is not true: python -m src.doctor."""

import sys

from src.errors import UserError
from src.tracking.queries import search
from src.tracking.recovery import recover
from src.tracking.store import open_store

EXPERIMENT = "recurrent-cells"


def main() -> None:
    """Repair what can be repaired and say how the store stands; exits with 2 if it cannot be opened."""
    experiment = sys.argv[1] if len(sys.argv) > 1 else EXPERIMENT
    try:
        store = open_store(experiment)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    repairs = recover(store)
    for repair in repairs:
        print(f"{repair.name} ({repair.run_id}): now {repair.status}, {repair.cause}")
    running = [run.info.run_name for run in search(store, "attributes.status = 'RUNNING'")]
    print(f"{store.uri}, experiment {experiment}: {len(repairs)} repaired, {len(running)} running")
    for name in running:
        print(f"  {name}")


if __name__ == "__main__":
    main()
