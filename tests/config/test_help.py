"""The help of a trial, made from the schema."""

import re

import pytest

from recurrent_cells.config.help import schema_help
from recurrent_cells.config.schema import allowed, schema_fields
from recurrent_cells.tables import CELLS

LINES = "\n".join(schema_help()).splitlines()


@pytest.mark.parametrize("key", [name for name, _ in schema_fields()])
def test_every_key_has_a_line_with_default_meaning_and_range(key):
    (line,) = [line for line in LINES if line.startswith(f"  {key}=")]
    default, meaning = re.fullmatch(rf"  {re.escape(key)}=(\S*) +(.*)", line).groups()
    assert default
    assert meaning.endswith(f" ({allowed(key)})")
    assert len(meaning.removesuffix(f"({allowed(key)})").strip()) > 5


def test_sections_name_the_options_of_their_group():
    headings = [line for line in LINES if line and not line.startswith(" ")]
    assert any(line.startswith(f"model={'|'.join(CELLS.names)}: The network") for line in headings)
    assert any(line.startswith("tracking: ") for line in headings)
    assert any(line.startswith("experiment=") and "|keras_lstm|" in line for line in headings)
    assert any(line.startswith("problem=") and "|parity|" in line for line in headings)
