"""A report as one HTML page that loads nothing: pictures inside it, readable on a phone and in print."""

import base64
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment

from recurrent_cells.reports.document import Document

TEMPLATE = Path(__file__).with_name("page.html")


def as_html(document: Document, svg: Mapping[str, str], footer: str) -> str:
    """The page; `svg` has the pictures by name."""
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(TEMPLATE.read_text())
    pictures = {name: base64.b64encode(text.encode()).decode() for name, text in svg.items()}
    blocks = [(type(block).__name__, block) for block in document.blocks]
    return template.render(title=document.title, blocks=blocks, pictures=pictures, footer=footer)
