"""What was measured, and how; `python -m benchmarks.NAME` works in a checkout, installed or not."""

import src  # noqa: F401 - puts the package on the path
