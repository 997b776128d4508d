"""What `--help KEY` says of one key."""

import pytest

from recurrent_cells.config.key_help import key_help
from recurrent_cells.config.schema import allowed, schema_fields
from recurrent_cells.errors import UserError


@pytest.mark.parametrize("key", [name for name, _ in schema_fields()])
def test_a_key_is_told_with_meaning_type_range_and_default(key):
    first, *lines = key_help(key)
    assert first.startswith(f"{key}: ")
    assert f"  allowed  {allowed(key)}" in lines
    assert [line.split()[0] for line in lines[:3]] == ["type", "allowed", "default"]


def test_a_key_is_told_with_the_config_files_that_set_it_to_another_value():
    assert "  set to   200 by conf/experiment/tf_gru_stacked.yaml" in list(key_help("model.hidden_size"))
    assert "  set to   false by conf/sweep/recipes.yaml" in list(key_help("full"))
    assert not [line for line in key_help("seed") if "set to" in line]


def test_a_section_is_told_by_its_keys():
    first, *lines = key_help("tracking")
    assert first.startswith("tracking: ")
    assert [line.split("=")[0].strip() for line in lines] == ["tracking.experiment", "tracking.patience"]


def test_a_setting_of_a_cell_alone_is_told_with_its_cell(tmp_path):
    from recurrent_cells.config import extensions

    file = tmp_path / "heads.py"
    file.write_text(
        "from recurrent_cells.config.rules import at_least\n"
        "from recurrent_cells.models.cells import Cell, Option\n"
        "class Heads(Cell):\n"
        "    name = 'with_heads'\n"
        "    options = {'branches': Option(4, 'independent parts of the state', at_least(1))}\n"
    )
    extensions.load([str(file)])
    assert list(key_help("model.options.branches"))[:4] == [
        "model.options.branches: independent parts of the state",
        "  of       model=with_heads",
        "  allowed  an integer of at least 1",
        "  default  4",
    ]


@pytest.mark.parametrize(
    ("key", "meant"), [("model.hiden_size", "model.hidden_size"), ("hidden_size", "model.hidden_size"), ("dta", "data")]
)
def test_of_an_unknown_key_the_one_that_was_meant_is_named(key, meant):
    with pytest.raises(UserError, match=rf"^{key}: no such key; did you mean {meant}\?$"):
        list(key_help(key))
