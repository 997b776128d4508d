"""Where things lie when the user does not say."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
DATASETS = REPOSITORY / "datasets"
TRACKING = REPOSITORY / "mlruns"
