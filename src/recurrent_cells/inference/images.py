"""Pictures of any kind made into images like those of MNIST: light ink on a dark ground, centred."""

import warnings
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy import ndimage

from recurrent_cells.errors import UserError, first_line

# Left out are formats that start other programs, such as EPS.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MOST_PIXELS = 50_000_000
# The longest side to work on: a larger picture is shrunk first.
WORKING_SIDE = 256
# Of the image's side, as in MNIST: 20 of 28 pixels.
INK_SHARE = 20 / 28
# A picture whose darkest and brightest pixels differ by less, of 255, is blank.
LEAST_CONTRAST = 24
# Standard deviation of the filter against noise, as a share of the longest side.
SMOOTHING = 0.005
# A speck, as a share of the largest piece of ink.
SPECK = 0.03

Grey = NDArray[np.float32]


@dataclass(frozen=True)
class Prepared:
    """An image as a network reads it.

    Args:
        pixels: bytes (H, W), light ink on a dark ground.
        inverted: whether the ink was dark on a light ground.
        blank: whether there was no ink.
    """

    pixels: NDArray[np.uint8]
    inverted: bool
    blank: bool


def read_grey(file: BinaryIO) -> Grey:
    """A picture upright and without colour, (H, W) in 0 … 255; of several frames the first.

    Raises:
        UserError: if it is no image, damaged or too large.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of oddities in a file that can be read all the same
        try:
            with Image.open(file, formats=FORMATS) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise UserError(f"{picture.width} × {picture.height} pixels; allowed are {MOST_PIXELS:,} in all")
                upright = ImageOps.exif_transpose(picture)
        except Image.DecompressionBombError:
            raise UserError(f"too many pixels; allowed are {MOST_PIXELS:,} in all") from None
        except Image.UnidentifiedImageError:
            raise UserError(f"not an image; allowed are {', '.join(FORMATS)}") from None
        except (UserError, MemoryError):
            raise
        except Exception as error:  # a decoder raises whatever it stumbles over
            raise UserError(f"a damaged image ({first_line(error, 100)})") from None
    return _grey(upright)


def _grey(picture: Image.Image) -> Grey:
    if picture.mode == "LAB":
        picture = picture.getchannel("L")
    if picture.has_transparency_data:
        return _on_a_ground(picture.convert("RGBA"))
    if picture.mode.startswith("I;16"):
        return np.asarray(picture).astype(np.float32) / np.float32(257)
    if picture.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(picture).astype(np.float32), posinf=0, neginf=0)
        low, high = float(values.min()), float(values.max())
        scaled: Grey = (values - low) * np.float32(255 / max(high - low, 1e-6))
        return scaled
    return np.asarray(picture.convert("L")).astype(np.float32)


def _on_a_ground(picture: Image.Image) -> Grey:
    """A picture with alpha laid on white, or on black if what is opaque in it is light."""
    light = np.asarray(picture.convert("RGB").convert("L")).astype(np.float32)
    opacity = np.asarray(picture.getchannel("A")).astype(np.float32) / 255
    shown = float((light * opacity).sum() / max(float(opacity.sum()), 1e-6))
    ground = 0 if shown > 127.5 else 255
    return (light * opacity + ground * (1 - opacity)).astype(np.float32)


def prepare(grey: Grey, size: tuple[int, int]) -> Prepared:
    """A picture of any size, in 0 … 255, as an image (H, W) that a network reads.

    One of that very size is kept as it is, or only inverted. Of any other the ink is cut out, scaled to 20/28 of
    the image and put with its centre of mass in the middle.
    """
    inverted = _is_dark_on_light(grey)
    if np.ptp(grey) < LEAST_CONTRAST:
        kept = grey if grey.shape == size and not inverted else np.zeros(size)
        return Prepared(_bytes(kept), inverted, blank=True)
    if grey.shape == size:
        return Prepared(_bytes(255 - grey if inverted else grey), inverted, blank=False)
    ink = _ink(_shrunk(grey), inverted)
    if not ink.any():
        return Prepared(np.zeros(size, np.uint8), inverted, blank=True)
    return Prepared(_bytes(_centred(_fitted(ink, size), size)), inverted, blank=False)


def _bytes(grey: NDArray[np.floating]) -> NDArray[np.uint8]:
    return grey.round().clip(0, 255).astype(np.uint8)


def _border(grey: Grey) -> NDArray[np.bool_]:
    """Which pixels (H, W) are at the edge."""
    width = max(min(grey.shape) // 20, 1)
    border = np.ones(grey.shape, bool)
    border[width:-width, width:-width] = False
    return border


def _is_dark_on_light(grey: Grey) -> bool:
    """Whether the border is in the lighter half of all values, and lighter than the rest of the picture."""
    border = _border(grey)
    ground = float(np.median(grey[border]))
    if np.ptp(grey) < LEAST_CONTRAST:
        return ground > 127.5
    rest = grey[~border] if not border.all() else grey
    return ground > (float(grey.min()) + float(grey.max())) / 2 and ground > float(rest.mean())


def _shrunk(grey: Grey) -> Grey:
    factor = WORKING_SIDE / max(grey.shape)
    if factor >= 1:
        return grey
    height, width = (max(round(side * factor), 1) for side in grey.shape)
    return _resized(grey, height, width)


def _resized(grey: Grey, height: int, width: int) -> Grey:
    picture = Image.fromarray(np.ascontiguousarray(grey, np.float32))
    way = Image.Resampling.BOX if height < grey.shape[0] else Image.Resampling.BILINEAR
    return np.asarray(picture.resize((width, height), way))


def _ink(grey: Grey, inverted: bool) -> Grey:
    """The amount of ink at each pixel, cut to its bounding box, without specks and shades of the ground."""
    ink = (255 - grey if inverted else grey) - _ground(grey, inverted)
    ink = ndimage.gaussian_filter(ink, max(ink.shape) * SMOOTHING)
    pieces, count = ndimage.label(ink > _threshold(ink), structure=np.ones((3, 3)))
    if count == 0:
        return np.zeros((1, 1), np.float32)
    areas = np.bincount(pieces.ravel())[1:]
    kept = np.isin(pieces, 1 + np.flatnonzero(areas >= SPECK * areas.max()))
    ink = np.where(ndimage.binary_dilation(kept), ink, 0).clip(0, None)
    rows, columns = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _ground(grey: Grey, inverted: bool) -> Grey:
    """The ground without ink as a plane through the border, as where light falls from one side."""
    light = 255 - grey if inverted else grey
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]].astype(np.float32)
    border = _border(grey)
    border &= light <= np.percentile(light[border], 90)
    places = np.stack([np.ones(border.sum()), y[border], x[border]], axis=1)
    base, down, right = np.linalg.lstsq(places, light[border], rcond=None)[0]
    return (base + down * y + right * x).astype(np.float32)


def _threshold(ink: Grey) -> float:
    """The level that leaves the least variance within the two parts (Otsu 1979)."""
    counts, edges = np.histogram(ink, bins=128)
    levels = (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum()
    above = below[-1] - below
    sums = (counts * levels).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(levels[np.nan_to_num(between[:-1]).argmax()])


def _fitted(ink: Grey, size: tuple[int, int]) -> Grey:
    """Ink scaled to fill its share of an image (H, W), the darkest of it to 255."""
    height, width = ink.shape
    most_height, most_width = (max(round(side * INK_SHARE), 1) for side in size)
    factor = min(most_height / height, most_width / width)
    ink = _resized(ink, max(round(height * factor), 1), max(round(width * factor), 1))
    return ink * np.float32(255 / max(float(ink.max()), 1e-6))


def _centred(ink: Grey, size: tuple[int, int]) -> Grey:
    """Ink on an empty image (H, W), its centre of mass in the middle as far as all of it stays inside."""
    image = np.zeros(size, np.float32)
    starts = []
    for centre, side, whole in zip(ndimage.center_of_mass(ink), ink.shape, size, strict=True):
        starts.append(min(max(round(whole / 2 - centre), 0), whole - side))
    top, left = starts
    image[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return image
