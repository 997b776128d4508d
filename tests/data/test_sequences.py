"""From images to sequences."""

import numpy as np
import pytest
import torch

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.reading import Reading, reading
from recurrent_cells.data.sequences import Normalizer, as_image
from recurrent_cells.errors import UserError

IMAGES = torch.arange(2 * 3 * 4, dtype=torch.uint8).view(2, 3, 4)


def test_rows_and_columns_read_the_same_pixels_in_their_order():
    rows, columns = Reading("rows")(IMAGES), Reading("columns")(IMAGES)
    assert rows.shape == (2, 3, 4)
    assert columns.shape == (2, 4, 3)
    assert rows[1, 2].tolist() == IMAGES[1, 2].tolist()
    assert columns[1, 2].tolist() == IMAGES[1, :, 2].tolist()
    with pytest.raises(ValueError, match="unknown sequence 'spiral'"):
        Reading("spiral")(IMAGES)


def test_pixels_are_read_row_after_row_some_at_a_step():
    assert Reading("pixels")(IMAGES)[0, :, 0].tolist() == list(range(12))
    assert Reading("pixels", 4)(IMAGES).tolist() == IMAGES.tolist()
    assert Reading("pixels", 3)(IMAGES)[0].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    backwards = torch.arange(12).flip(0)
    assert Reading("pixels", 6, backwards)(IMAGES)[0].tolist() == [list(range(11, 5, -1)), list(range(5, -1, -1))]


@pytest.mark.parametrize(("patch", "divides"), [(1, True), (6, True), (5, False), (13, False)])
def test_a_patch_divides_the_pixels(patch, divides):
    data = DataConfig(sequence="pixels", patch=patch)
    if divides:
        assert reading(data, (3, 4)).patch == patch
    else:
        with pytest.raises(UserError, match=rf"^data.patch={patch}: allowed is what divides 12, the pix"):
            reading(data, (3, 4))


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


ORDERS = [
    *(Reading(sequence) for sequence in ("rows", "columns", "image", "pixels")),
    Reading("pixels", 4, torch.from_numpy(np.random.RandomState(0).permutation(16))),
]


@pytest.mark.parametrize("read", ORDERS)
def test_a_sequence_can_be_seen_as_its_image_again(read):
    images = torch.from_numpy(np.random.RandomState(0).randint(0, 256, (2, 4, 4)).astype(np.uint8))
    raw = read(images)
    normalize = Normalizer("standard", raw)
    seen = as_image(normalize(raw)[1], read, (4, 4), normalize.offset, normalize.scale)
    assert seen.tolist() == images[1].tolist()
