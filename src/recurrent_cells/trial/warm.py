"""All that training a trial imports: processes forked from one that has imported this begin to train at once."""

# ruff: noqa: F401
import matplotlib.backends.backend_agg

import recurrent_cells.trial.pack
