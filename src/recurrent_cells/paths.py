"""Where things lie when the user does not say, and what lies where the user says."""

import os
import stat
from pathlib import Path
from typing import Literal


def of_user(name: str | Path) -> Path:
    """The path that a user gave; `~` begins it as in a shell, if there is such a user."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 - a Path raises where there is none


PACKAGE = Path(__file__).resolve().parent
# Where runs, data and reports lie; on a node that the code was sent to, not beside the code.
HOME_VARIABLE = "RECURRENT_CELLS_HOME"
HOME = of_user(os.environ.get(HOME_VARIABLE) or ".").resolve()
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


def kind(path: Path) -> Literal["file", "folder", "other"] | None:
    """What lies there; None for nothing, and for a name that nothing can have."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # the name is too long, or has a null character
        return None
    return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "other"
