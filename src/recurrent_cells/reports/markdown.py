"""A report as Markdown, its pictures beside it."""

from collections.abc import Iterable

from recurrent_cells.reports.document import Block, Bullets, Document, Heading, Pictures, Table, Text

MOST_ROWS = 60


def as_markdown(document: Document, footer: str, pictures: str = "figures", tables: str = "tables") -> str:
    """The whole report; long tables are cut and name their CSV.

    Args:
        pictures: the folder of the pictures, from where the report lies; `tables` that of the CSVs.
    """
    blocks = [_block(block, pictures, tables) for block in document.blocks]
    return "\n\n".join([f"# {_plain(document.title)}", *blocks, f"---\n{footer}"]) + "\n"


def _block(block: Block, folder: str, tables: str) -> str:
    match block:
        case Heading(text):
            return f"## {_plain(text)}"
        case Text(text, strong):
            return f"**{_plain(text)}**" if strong else _plain(text)
        case Bullets(items):
            return "\n".join(f"- {_plain(item)}" for item in items)
        case Table():
            return f"{_plain(block.title)}:\n\n{as_table(block, tables)}"
        case Pictures(pictures):
            return "\n\n".join(
                f"![{_plain(it.caption)}]({folder}/{it.name}.png)\n{_plain(it.caption)}" for it in pictures
            )


def as_table(table: Table, folder: str = "tables") -> str:
    """A table's rows, the first column to the left."""
    lines = [_row(table.columns), _row(["---", *["---:"] * (len(table.columns) - 1)])]
    lines += [_row(_plain(cell).replace("|", "\\|") for cell in row) for row in table.rows[:MOST_ROWS]]
    if len(table.rows) > MOST_ROWS:
        lines.append(f"\n{len(table.rows) - MOST_ROWS} more rows are in {folder}/{table.name}.csv.")
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Text on one line, with the signs of Markdown escaped."""
    for sign in "\\*<_":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
