"""Pictures as they come, made into what a network was trained on."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from recurrent_cells.errors import UserError
from recurrent_cells.inference import images
from recurrent_cells.inference.images import prepare, read_grey

SIZE = (28, 28)


def encoded(picture, form="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    buffer.seek(0)
    return buffer


def drawn(width=200, height=260, ink=20, ground=240, mode="L"):
    """A seven, thick, not in the middle."""
    picture = Image.new(mode, (width, height), ground)
    corners = [(x * width, y * height) for x, y in ((0.2, 0.1), (0.5, 0.1), (0.3, 0.5))]
    ImageDraw.Draw(picture).line(corners, fill=ink, width=max(width // 14, 1))
    return picture


def prepared(picture, **options):
    return prepare(read_grey(encoded(picture, **options)), SIZE)


def likeness(one, other):
    return np.corrcoef(one.pixels.ravel(), other.pixels.ravel())[0, 1]


def test_the_ink_is_fitted_and_centred_as_in_mnist():
    image = prepared(drawn())
    assert image.inverted
    assert not image.blank
    assert image.pixels.shape == SIZE
    assert image.pixels.dtype == np.uint8
    assert image.pixels.max() == 255
    rows, columns = np.flatnonzero(image.pixels.any(axis=1)), np.flatnonzero(image.pixels.any(axis=0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    y, x = np.mgrid[:28, :28]
    for place in (y, x):
        assert (place * image.pixels).sum() / image.pixels.sum() == pytest.approx(14, abs=0.6)


def with_alpha(ink):
    shape = np.asarray(drawn(ink=255, ground=0))
    return Image.fromarray(np.dstack([np.full((*shape.shape, 3), ink, np.uint8), shape]))


def noisy():
    pixels = np.asarray(drawn(), float) * np.linspace(0.6, 1, 200) + np.random.RandomState(0).randn(260, 200) * 15
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("picture", "inverted"),
    [
        (drawn(ink=240, ground=20), False),
        (drawn(ink=(20, 20, 90), ground=(250, 240, 230), mode="RGB"), True),
        (drawn(ink=(20, 20, 90), ground=(250, 240, 230), mode="RGB").quantize(16), True),
        (drawn(mode="1", ink=0, ground=1), True),
        (with_alpha(0), True),
        (with_alpha(255), False),
        (Image.fromarray(np.asarray(drawn()).astype(np.uint16) * 257), True),
        (drawn(800, 1040), True),
        (drawn(50, 65), True),
        (drawn(ink=110, ground=170), True),
        (noisy(), True),
    ],
    ids=["light", "colour", "palette", "bits", "alpha", "light alpha", "16 bits", "large", "small", "faint", "noisy"],
)
def test_whatever_the_picture_is_made_of_the_image_is_the_same(picture, inverted):
    image = prepared(picture)
    assert image.inverted == inverted
    assert likeness(image, prepared(drawn())) > 0.93


@pytest.mark.parametrize("form", ["BMP", "GIF", "JPEG", "PPM", "TIFF", "WEBP"])
def test_formats(form):
    assert likeness(prepared(drawn(), form=form), prepared(drawn())) > 0.97


def test_a_picture_turned_by_its_camera_is_turned_back():
    orientation = Image.Exif()
    orientation[0x0112] = 6
    turned = prepared(drawn().rotate(90, expand=True), exif=orientation)
    assert likeness(turned, prepared(drawn())) > 0.99


def test_specks_do_not_move_the_ink():
    picture = drawn()
    for place in ((190, 250), (5, 200), (100, 240)):
        picture.paste(20, (*place, place[0] + 2, place[1] + 2))
    assert likeness(prepared(picture), prepared(drawn())) > 0.99


def test_an_image_of_the_networks_size_is_kept_to_the_byte():
    pixels = np.random.RandomState(0).randint(0, 90, SIZE).astype(np.uint8)
    pixels[5:20, 10:14] += 150
    assert (prepared(Image.fromarray(pixels)).pixels == pixels).all()
    inverted = prepared(Image.fromarray(255 - pixels))
    assert inverted.inverted
    assert (inverted.pixels == pixels).all()


def test_no_digit_of_mnist_is_taken_for_dark_on_light():
    from recurrent_cells.config.schema import DataConfig
    from recurrent_cells.data.examples import load_examples

    for pixels in load_examples(DataConfig()).train.values[::25]:
        assert (prepare(pixels.astype(np.float32), SIZE).pixels == pixels).all()


@pytest.mark.parametrize("ground", [0, 128, 255])
@pytest.mark.parametrize("size", [SIZE, (200, 100), (1, 1), (2, 3000)])
def test_a_blank_picture_is_said_to_be_blank(ground, size):
    image = prepared(Image.new("L", size, ground))
    assert image.blank
    assert image.pixels.max() <= 128


@pytest.mark.parametrize("size", [(1, 2), (3, 3), (2, 900), (5000, 1)])
def test_odd_sizes(size):
    picture = Image.new("L", size, 255)
    picture.putpixel((0, 0), 0)
    assert prepared(picture).pixels.shape == SIZE


def test_images_that_are_not_square():
    image = prepare(np.asarray(drawn()).astype(np.float32), (6, 5))
    assert image.pixels.shape == (6, 5)
    assert image.pixels.max() == 255


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not an image"),
        (b"no image", "not an image"),
        (encoded(noisy()).read()[:3000], "a damaged image"),
        (encoded(noisy(), "JPEG").read()[:3000], "a damaged image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "not an image"),
    ],
)
def test_what_is_no_image_is_said_in_one_line(content, words):
    with pytest.raises(UserError, match=words) as refused:
        read_grey(io.BytesIO(content))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("width", "height"), [(20000, 20000), (10**8, 10**8), (10000, 5001)])
def test_a_bomb_is_not_unpacked(width, height):
    """The header of a bitmap that claims to be large."""
    header = b"BM" + np.array([58, 0, 54, 40, width, height], "<u4").tobytes()
    header += np.array([1, 8], "<u2").tobytes() + np.array([0, 0, 0, 0, 0, 0], "<u4").tobytes()
    with pytest.raises(UserError, match="pixels; allowed are 50,000,000"):
        read_grey(io.BytesIO(header))


def test_damage_is_found_by_any_decoder(monkeypatch):
    """Bytes flipped at random: an image or one line, never another error."""
    random = np.random.RandomState(0)
    for form in ("PNG", "GIF", "BMP", "TIFF", "JPEG", "WEBP", "PPM"):
        whole = encoded(drawn(60, 80), form).read()
        for _ in range(20):
            content = bytearray(whole)
            for place in random.randint(0, len(content), 5):
                content[place] = random.randint(256)
            try:
                image = prepare(read_grey(io.BytesIO(bytes(content))), SIZE)
            except UserError as error:
                assert "\n" not in str(error)  # noqa: PT017 - either will do
            else:
                assert image.pixels.shape == SIZE


def test_the_threshold_parts_two_levels():
    levels = np.repeat([10.0, 200.0], [900, 100]).astype(np.float32)
    assert 10 < images._threshold(levels) < 200


@pytest.mark.parametrize("every", [2, 3])
def test_a_picture_of_stripes_is_read(every):
    stripes = np.zeros((512, 512), np.uint8)
    stripes[::every] = 255
    assert prepared(Image.fromarray(stripes)).pixels.shape == SIZE
