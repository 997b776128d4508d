"""Examples of any source: bytes or numbers, classes or numbers to predict."""

import numpy as np
import pytest
import torch

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data import splits
from recurrent_cells.data.examples import load_examples
from recurrent_cells.data.sources import Part, Source
from recurrent_cells.errors import UserError
from recurrent_cells.tables import SOURCES

RANDOM = np.random.RandomState(0)
WAVES = RANDOM.normal(3, 2, (40, 7, 2))
BYTES = RANDOM.randint(0, 256, (40, 7, 2)).astype(np.uint8)
CLASSES = np.arange(40) % 3
NUMBERS = RANDOM.normal(size=40)


@pytest.fixture
def given():
    """`given(values, targets, …)` is the config of a source that has just these parts."""

    def config(*arrays, **settings):
        class Mine(Source):
            name = "mine"

            def load(self, data):
                return [Part(*pair, "data=mine") for pair in zip(arrays[::2], arrays[1::2], strict=True)]

        SOURCES.add(Mine)
        settings = {"val_size": 10, "batch_size": 5, "test_size": 10} | settings
        return DataConfig(name="mine", **settings)  # type: ignore[arg-type]

    yield config
    SOURCES.clear()
    splits._load_splits.cache_clear()


def test_sequences_of_numbers_have_the_training_values_at_mean_0_and_deviation_1(given):
    made = splits.load_splits(given(WAVES, CLASSES))
    assert not made.is_image
    assert (made.num_steps, made.num_features, made.num_classes) == (7, 2, 3)
    assert made.num_outputs == 3
    assert made.train.sequences.dtype == torch.float32
    assert float(made.train.sequences.mean()) == pytest.approx(0, abs=1e-5)
    assert float(made.train.sequences.std(correction=0)) == pytest.approx(1, abs=1e-5)
    restored = made.test.sequences * made.scale + made.offset
    assert all(any(np.allclose(sequence, wave, atol=1e-5) for wave in WAVES) for sequence in restored.numpy())


@pytest.mark.parametrize("normalize", ["none", "unit"])
def test_or_are_left_as_they_are(given, normalize):
    made = splits.load_splits(given(WAVES, CLASSES, WAVES, CLASSES, normalize=normalize, test_size=None))
    assert torch.equal(made.test.sequences, torch.from_numpy(WAVES).float())
    assert (made.offset, made.scale) == (0, 1)


def test_bytes_are_images(given):
    made = splits.load_splits(given(BYTES, CLASSES.astype(np.uint8), normalize="unit"))
    assert made.is_image
    assert (made.scale, made.image_size, made.train.targets.dtype) == (255, (7, 2), torch.int64)


def test_targets_that_are_numbers_have_one_output_and_no_classes(given):
    made = splits.load_splits(given(WAVES, NUMBERS))
    assert (made.num_outputs, made.num_classes) == (1, 0)
    assert made.train.targets.dtype == torch.float32


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ((WAVES[0], CLASSES), r"values \(7, 2\) and targets \(40,\); allowed are \(N, H, W\) or"),
        ((WAVES, CLASSES[1:]), r"values \(40, 7, 2\) and targets \(39,\)"),
        ((WAVES[:0], CLASSES[:0]), r"values \(0, 7, 2\)"),
        ((WAVES, CLASSES - 1), "the label -1 is below 0"),
        ((np.where(WAVES > 8, np.inf, WAVES), CLASSES), "not finite"),
        ((WAVES, CLASSES, BYTES, CLASSES), "other types or sizes"),
        ((WAVES, CLASSES, WAVES[:, 1:], CLASSES), "other types or sizes"),
    ],
)
def test_arrays_that_are_no_examples_are_refused(given, arrays, said):
    with pytest.raises(UserError, match=rf"^data=mine: .*{said}"):
        load_examples(given(*arrays))
