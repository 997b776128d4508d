"""The images and series in the bodies of requests, checked."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.errors import UserError
from recurrent_cells.inference import series_files
from recurrent_cells.inference.series import from_lists, padded, without_padding
from recurrent_cells.inference.trained import Trained
from recurrent_cells.serving.base import BadRequest, json_object

MOST_EXAMPLES = 1000
MOST_BYTES_OF_ARRAYS = 1 << 26  # a compressed megabyte may be a gigabyte
# Content types of series in files.
FILES = ("text/csv", "application/x-npz", "application/octet-stream")
LONGEST_SIDE = 1024
# The forms of MLflow's scoring protocol that hold tensors.
FORMS = ("instances", "inputs", "dataframe_split")


def read_images(body: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The images (N, H, W) of a scoring request: (N, H, W) or (N, H·W) in 0 … 255.

    Raises:
        BadRequest: if the body holds no images, too many, or anything else.
    """
    height, width = size
    form, values, _ = _scored(body)
    allowed = f"{form}: allowed are images of shape (N, {height}, {width}) or (N, {height * width})"
    images = _numbers(values, allowed)
    if images.shape[1:] not in ((height, width), (height * width,)):
        raise BadRequest(400, f"{allowed}, these are {images.shape}")
    _check_count(len(images), f"{form}: {len(images)} images")
    return images.reshape(-1, height, width).round().astype(np.uint8)


def read_series(body: bytes, trained: Trained) -> NDArray[np.float32]:
    """The series (N, T, F) of a scoring request, lists of steps, with NaN after the last step of each.

    In the request the last steps of shorter ones are left out, or null.

    Raises:
        BadRequest: if the body holds none, too many, or others than the network takes.
    """
    form, values, columns = _scored(body)
    if columns and trained.feature_names:
        if sorted(columns) != sorted(trained.feature_names):
            raise BadRequest(400, f"{form}: columns: allowed are {', '.join(trained.feature_names)}")
        values = _in_order(values, [columns.index(name) for name in trained.feature_names])
    return _as_series(form, values, trained)


def _in_order(values: Any, places: Sequence[int]) -> Any:
    """Lists of steps, each with the numbers at these places; what is no step of so many numbers as it is."""
    if not isinstance(values, list):
        return values
    if any(isinstance(value, list) for value in values):
        return [_in_order(value, places) for value in values]
    return [values[place] for place in places] if len(values) == len(places) else values


def read_file(body: bytes, trained: Trained) -> NDArray[np.float32]:
    """The series (N, T, F) of a CSV or .npz file; raises as `read_series`."""
    try:
        series, _ = series_files.read_series(body, trained, MOST_BYTES_OF_ARRAYS)
        _check_count(len(series), f"the file: {len(series)} series")
        return padded(series, trained)
    except UserError as error:
        raise BadRequest(400, str(error)) from None


def read_one_series(body: bytes, trained: Trained) -> NDArray[np.float32]:
    """The one series (1, T, F) of a request; raises BadRequest if the body holds none, or anything else."""
    series = _as_series("series", _only(body, "series", "a list of steps"), trained)
    if len(series) > 1:
        raise BadRequest(400, f"series: {len(series)} of them; allowed is one")
    return series


def _as_series(key: str, values: Any, trained: Trained) -> NDArray[np.float32]:
    try:
        series = without_padding(from_lists(values, trained.size[1]))
        _check_count(len(series), f"{key}: {len(series)} series")
        return padded(series, trained)
    except UserError as error:
        raise BadRequest(400, f"{key}: {error}") from None


def _scored(body: bytes) -> tuple[str, Any, list[str]]:
    """The form of a scoring request, the lists in it, and the names of columns, none where it has none."""
    content = json_object(body)
    if len(content) != 1 or (form := next(iter(content))) not in FORMS:
        raise BadRequest(400, f"allowed is a JSON object with one of {', '.join(FORMS)}")
    values, columns = content[form], list[Any]()
    if form == "dataframe_split":
        if not isinstance(values, dict) or "data" not in values:
            raise BadRequest(400, "dataframe_split: data is missing, a list of rows, one an image")
        columns = values.get("columns") or []
        if not isinstance(columns, list):
            raise BadRequest(400, "dataframe_split: columns: allowed is a list of names")
        values = values["data"]
    return form, values, [column for column in columns if isinstance(column, str)]


def _check_count(count: int, what: str) -> None:
    if not 1 <= count <= MOST_EXAMPLES:
        raise BadRequest(400, f"{what}; allowed are 1 to {MOST_EXAMPLES:,}")


def _only(body: bytes, key: str, form: str) -> Any:
    """What a request has under its only key."""
    content = json_object(body)
    if list(content) != [key]:
        raise BadRequest(400, f"allowed is a JSON object with {key}, {form}")
    return content[key]


def read_drawing(body: bytes) -> NDArray[np.float32]:
    """The one image (h, w) of a request, of any size up to 1,024 × 1,024, in 0 … 255.

    Raises:
        BadRequest: if the body holds no image, or anything else.
    """
    allowed = "image: allowed is a list of rows of pixels"
    image = _numbers(_only(body, "image", "a list of rows of pixels"), allowed)
    if image.ndim != 2 or not all(1 <= side <= LONGEST_SIDE for side in image.shape):
        raise BadRequest(400, f"{allowed}, 1 to {LONGEST_SIDE} a side, this has the shape {image.shape}")
    return image.astype(np.float32)


def _numbers(values: Any, allowed: str) -> NDArray[Any]:
    """Nested lists as an array of finite numbers in 0 … 255."""
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError, RecursionError, MemoryError):  # rows of different lengths, say
        raise BadRequest(400, f"{allowed}, these are not") from None
    if array.dtype.kind not in "iuf":
        raise BadRequest(400, f"{allowed} in numbers, these are not")
    if array.size and not (array.min() >= 0 and array.max() <= 255):
        raise BadRequest(400, "pixels: allowed are numbers from 0 to 255")
    return array
