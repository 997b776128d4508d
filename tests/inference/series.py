"""Networks of series for tests: sources of a user's own, and what they train to."""

from pathlib import Path
from typing import TYPE_CHECKING

from recurrent_cells.config import extensions
from recurrent_cells.data import examples, splits
from tests.support import compose_config

if TYPE_CHECKING:
    from recurrent_cells.inference.trained import Trained

SOURCES = """
import numpy as np
from recurrent_cells.data.sources import Part, Source
from recurrent_cells.tasks import Task
from recurrent_cells.tasks.metrics import Metric

def waves(features):
    draw = np.random.RandomState(0)
    targets = np.arange(80) % 2
    phase = np.linspace(0, 6, 12)[None, :, None] * (1 + targets[:, None, None])
    return (np.sin(phase) + 0.1 * draw.randn(80, 12, features)).astype(np.float32), targets

class Waves(Source):
    name = "waves"
    defaults = {"batch_size": 10, "val_size": 20, "test_size": 20}

    def load(self, data):
        return [Part(*waves(2), "data=waves", class_names=("slow", "fast"))]

class Curves(Source):
    name = "curves"
    defaults = {"batch_size": 10, "val_size": 20, "test_size": 20}

    def load(self, data):
        return [Part(*waves(1), "data=curves")]

class Means(Source):
    name = "means"
    defaults = {"batch_size": 10, "val_size": 20, "test_size": 20}

    def load(self, data):
        values, _ = waves(2)
        return [Part(values, values[:, -1, 0], "data=means")]

class SquareError(Metric):
    name, higher_is_better = "square_error", False

    def __call__(self, outputs, targets):
        return (outputs[..., 0].double() - targets) ** 2

class Number(Task):
    name, metric = "number", "square_error"

    def loss(self, outputs, targets, lengths=None):
        return ((outputs[..., 0] - targets) ** 2).mean(dim=-1)
"""
SHORT = ("trainer=cpu", "trainer.max_steps=60", "trainer.log_every=20", "model.hidden_size=8", "optimizer.lr=0.02")


def train_series(folder: Path, *overrides: str) -> "Trained":
    """Train on series of a user's source, by default `waves`, 12 steps of 2 features in the classes slow and fast."""
    from recurrent_cells.inference.trained import find_winner, load_trained
    from recurrent_cells.tracking.store import open_store
    from recurrent_cells.trial.train import train

    for cached in (examples._load, splits._load_splits):  # another module may have had a source of the same name
        cached.cache_clear()
    path = folder / "series_of_mine.py"
    path.write_text(SOURCES)
    (given,) = extensions.load_given([f"extensions=[{path}]"])
    data = () if any(it.startswith("data=") for it in overrides) else ("data=waves",)
    result = train(compose_config(given, *SHORT, "registry=false", *data, *overrides))
    store = open_store("recurrent-cells")
    return load_trained(store, find_winner(store, result["run_id"]))
