"""The UCR and UEA archives of time series."""

from pathlib import Path

from recurrent_cells import paths
from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.classes import by_name
from recurrent_cells.data.sources import Part, Source
from recurrent_cells.data.ts import read_ts
from recurrent_cells.errors import UserError
from recurrent_cells.paths import command


class Ts(Source):
    """Series in NAME_TRAIN.ts and, if it is there, NAME_TEST.ts of the folder or of its folder NAME."""

    name, reads_root = "ts", True
    keys = needs = ("dataset",)

    def load(self, data: DataConfig) -> list[Part]:
        root = paths.DATASETS if data.root is None else paths.of_user(data.root)
        train, test = (self._found(root, f"{data.dataset}_{part}.ts", str(data.dataset)) for part in ("TRAIN", "TEST"))
        if train is None:
            known = sorted(path.name.removesuffix("_TRAIN.ts") for path in _files(root, "*_TRAIN.ts"))
            shown = f"there are {', '.join(known[:20])}" if known else f"{command('series')} fetches some"
            raise UserError(f"data.dataset={data.dataset}: no {data.dataset}_TRAIN.ts in {root}; {shown}")
        parts, names = zip(*(read_ts(path) for path in (train, test) if path is not None), strict=True)
        return by_name(parts, names[0])

    @staticmethod
    def _found(root: Path, file: str, name: str) -> Path | None:
        return next((path for path in (root / file, root / name / file) if paths.kind(path) == "file"), None)


def _files(root: Path, pattern: str) -> list[Path]:
    if paths.kind(root) != "folder":
        return []
    return [*root.glob(pattern), *root.glob(f"*/{pattern}")]
