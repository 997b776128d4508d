"""A report as one HTML page that loads nothing: pictures inside it, readable on a phone and in print."""

import base64
from collections.abc import Mapping
from html import escape

from recurrent_cells.reports.document import Block, Bullets, Document, Heading, Pictures, Table, Text

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 0 auto; max-width: 1120px;
  padding: 0 16px 48px; overflow-wrap: anywhere; }
h1 { font-size: 1.25rem; margin: 24px 0 0; }
h2 { font-size: 1.15rem; margin: 36px 0 8px; border-bottom: 1px solid #ccc; }
p { max-width: 75ch; margin: 8px 0; } .strong { font-size: 1.1rem; font-weight: 600; }
.warning { border-left: 4px solid #d55e00; background: #fff4ec; padding: 8px 8px 8px 28px; margin: 8px 0; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); gap: 16px; }
figure { margin: 0; } figure img { width: 100%; max-width: 520px; height: auto; }
figcaption, caption, summary { color: #444; font-size: 0.9rem; text-align: left; }
.wide { overflow-x: auto; margin: 12px 0; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: 4px 12px 4px 0; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
td.words { text-align: left; white-space: normal; min-width: 12em; }
summary { cursor: pointer; } footer { color: #444; font-size: 0.85rem; margin-top: 36px; }
@media print { body { max-width: none; } figure, table { break-inside: avoid; } }
"""


def as_html(document: Document, svg: Mapping[str, str], footer: str) -> str:
    """The page; `svg` has the pictures by name."""
    title = escape(document.title)
    body = "\n".join(_block(block, svg) for block in document.blocks)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>Report: {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n'
        f"<h1>{title}</h1>\n{body}\n<footer>{escape(footer)}</footer>\n</body>\n</html>\n"
    )


def _block(block: Block, svg: Mapping[str, str]) -> str:
    match block:
        case Heading(text):
            return f"<h2>{escape(text)}</h2>"
        case Text(text, strong):
            return f"<p{' class=strong' if strong else ''}>{escape(text)}</p>"
        case Bullets(items, warning):
            lines = "".join(f"<li>{escape(item)}</li>" for item in items)
            return f"<ul{' class=warning' if warning else ''}>{lines}</ul>"
        case Table():
            return _table(block)
        case Pictures(pictures):
            figures = "\n".join(
                f'<figure><img alt="{escape(it.caption)}" src="{_inline(svg[it.name])}">'
                f"<figcaption>{escape(it.caption)}</figcaption></figure>"
                for it in pictures
            )
            return f"<div class=pictures>\n{figures}\n</div>"


def _table(table: Table) -> str:
    caption = "" if table.folded else f"<caption>{escape(table.title)}</caption>"
    head = "".join(f"<th>{escape(name)}</th>" for name in table.header)
    rows = "\n".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in table.rows)
    html = f"<div class=wide><table>{caption}<thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table></div>"
    return f"<details><summary>{escape(table.title)}</summary>{html}</details>" if table.folded else html


def _cell(text: str) -> str:
    return f"<td class=words>{escape(text)}</td>" if len(text) > 40 else f"<td>{escape(text)}</td>"


def _inline(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
