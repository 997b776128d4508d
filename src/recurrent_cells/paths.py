"""Where things lie when the user does not say."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
# Where runs, data and reports lie; on a node that the code was sent to, not beside the code.
HOME_VARIABLE = "RECURRENT_CELLS_HOME"
HOME = Path(os.environ.get(HOME_VARIABLE) or ".").expanduser().resolve()
DATASETS = HOME / "datasets"
TRACKING = HOME / "mlruns"
REPORTS = HOME / "reports"
# Programs of torch that trials share; apart from the store, as to load one that came with it might run its code.
EXPORTS = HOME / ".exports"

# How a command is typed, {} being its name; set by the doors of the repository, else that of the script.
COMMAND_VARIABLE = "RECURRENT_CELLS_COMMAND"


def command(name: str) -> str:
    """A command as its user types it."""
    return os.environ.get(COMMAND_VARIABLE, "recurrent-cells {}").format(name)
