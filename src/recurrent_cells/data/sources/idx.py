"""Any folder of four IDX files."""

from pathlib import Path

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.idx_folder import check_pairs, existing, find_files, parts_of, read_files
from recurrent_cells.data.sources import Part, Source


class Idx(Source):
    """Images of any height, width and number of classes, in files with the names of MNIST's."""

    name, reads_root, needs_root = "idx", True, True

    def load(self, data: DataConfig) -> list[Part]:
        folder = existing(Path(str(data.root)))
        files = read_files(find_files(folder), folder, "put them there")
        check_pairs(files)
        return parts_of(files)
