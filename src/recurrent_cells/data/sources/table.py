"""A user's own series in a table."""

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.arrays import existing_file
from recurrent_cells.data.classes import by_name
from recurrent_cells.data.sources import Part, Source
from recurrent_cells.data.tables import read_series


class Table(Source):
    """Series in long form, a row for each step; targets that are names or whole numbers are classes."""

    name, reads_root, needs_root, root_form = "table", True, True, "FILE.csv or FILE.parquet"
    needs = ("series", "time", "target")
    keys = (*needs, "features")

    def load(self, data: DataConfig) -> list[Part]:
        path = existing_file(str(data.root), self.root_form)
        return by_name([read_series(path, str(data.series), str(data.time), data.features, str(data.target))])
