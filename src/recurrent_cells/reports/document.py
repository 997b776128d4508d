"""The contents of a report without their form: blocks that become a page, Markdown and files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recurrent_cells.reports.figures import Picture


@dataclass(frozen=True)
class Heading:
    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph; `strong` for the sentences that matter most."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Bullets:
    """A list; `warning` marks reasons to doubt the result."""

    items: Sequence[str]
    warning: bool = False


Columns = Mapping[str, Sequence[object]]


@dataclass(frozen=True)
class Table:
    """Columns of equal length by their headings, kept as NAME.csv too.

    Args:
        folded: whether it is long and shown on demand.
        raw: the columns of the CSV with full precision, where they differ from those shown.
    """

    name: str
    title: str
    columns: Mapping[str, Sequence[str]]
    folded: bool = False
    raw: Columns | None = None

    @property
    def rows(self) -> list[tuple[str, ...]]:
        return list(zip(*self.columns.values(), strict=True))


@dataclass(frozen=True)
class Pictures:
    pictures: Sequence[Picture]


Block = Heading | Text | Bullets | Table | Pictures


@dataclass(frozen=True)
class Document:
    title: str
    blocks: Sequence[Block]
