"""From images to sequences."""

import numpy as np
import pytest
import torch

from recurrent_cells.data.sequences import Normalizer, as_image, as_sequences

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


def test_rows_and_columns_read_the_same_pixels_in_their_order():
    rows, columns = as_sequences(IMAGES, "rows"), as_sequences(IMAGES, "columns")
    assert rows.shape == (2, 3, 4)
    assert columns.shape == (2, 4, 3)
    assert rows[1, 2].tolist() == IMAGES[1, 2].tolist()
    assert columns[1, 2].tolist() == IMAGES[1, :, 2].tolist()
    with pytest.raises(ValueError, match="unknown sequence 'spiral'"):
        as_sequences(IMAGES, "spiral")


@pytest.mark.parametrize(
    ("normalize", "expected"),
    [("none", [0.0, 255.0]), ("unit", [0.0, 1.0]), ("standard", [-1.0, 1.0])],
)
def test_bytes_are_scaled(normalize, expected):
    training = torch.tensor([[[0, 255]]], dtype=torch.uint8)
    scaled = Normalizer(normalize, training)(training)
    assert scaled.dtype == torch.float32
    assert scaled.flatten().tolist() == pytest.approx(expected)


def test_images_of_one_colour_can_be_scaled():
    training = torch.full((2, 3, 4), 7, dtype=torch.uint8)
    assert Normalizer("standard", training)(training).abs().max() == 0


@pytest.mark.parametrize("order", ["rows", "columns", "image"])
def test_a_sequence_can_be_seen_as_its_image_again(order):
    images = np.random.RandomState(0).randint(0, 256, (2, 4, 4)).astype(np.uint8)
    raw = as_sequences(images, order)
    normalize = Normalizer("standard", raw)
    seen = as_image(normalize(raw)[1], order, normalize.offset, normalize.scale)
    assert seen.tolist() == images[1].tolist()
