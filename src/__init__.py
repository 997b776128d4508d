"""The commands as the repository has them, `python -m src.train` and the others, installed or not."""

import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "src"))
os.environ.setdefault("RECURRENT_CELLS_HOME", str(REPOSITORY))
os.environ.setdefault("RECURRENT_CELLS_COMMAND", "python -m src.{}")

import recurrent_cells  # noqa: E402 - found by what stands above

recurrent_cells.__path__.append(str(REPOSITORY))  # recurrent_cells.conf, where the package is not installed
