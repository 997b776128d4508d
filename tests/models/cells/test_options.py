"""Settings of one cell alone: `model.options`."""

from typing import ClassVar

import pytest

from recurrent_cells.config.extensions import option
from recurrent_cells.config.options import options_of
from recurrent_cells.config.rules import number
from recurrent_cells.config.schema import Config, ModelConfig
from recurrent_cells.config.validation import checked
from recurrent_cells.errors import UserError
from recurrent_cells.models.cells import Option
from recurrent_cells.models.layers import RecurrentLayers
from recurrent_cells.models.size import count_parameters
from recurrent_cells.tables import CELLS
from recurrent_cells.trial.fingerprint import fingerprint


@pytest.mark.parametrize("name", CELLS.names)
def test_a_config_file_lists_the_settings_of_its_cell_with_their_defaults(name):
    defaults = {key: it.default for key, it in CELLS[name].options.items()}
    assert option("model", name).get("options", {}) == defaults


def test_settings_that_a_cell_does_not_have_are_refused():
    with pytest.raises(UserError, match=r"model\.options\.heads=2: model=gru has no such setting"):
        checked(Config(model=ModelConfig(cell="gru", options={"heads": 2})))


@pytest.mark.parametrize("value", ["abc", None, [1], {"a": 1}, float("nan"), 1.5, 10**400])
@pytest.mark.parametrize(("cell", "name"), [("lem", "dt"), ("indrnn", "steps"), ("s4d", "state_size")])
def test_a_setting_of_another_kind_is_refused(cell, name, value):
    with pytest.raises(UserError, match=rf"model\.options\.{name}="):
        checked(Config(model=ModelConfig(cell=cell, options={name: value})))


def test_a_network_whose_setting_no_memory_holds_is_not_counted_in_vain():
    assert count_parameters(ModelConfig(cell="s4d", options={"state_size": 2 * 10**17}), 28, 10) > 10**17


def test_what_the_file_of_another_cell_lists_says_nothing_at_its_default():
    listed = option("model", "lstm")["options"]
    assert checked(Config(model=ModelConfig(cell="gru", options=listed))).model.options == {}
    assert checked(Config(model=ModelConfig(cell="lstm", options=listed))).model.options == listed
    with pytest.raises(UserError, match=r"model\.options\.variant=coupled_gates: model=gru has no such setting"):
        checked(Config(model=ModelConfig(cell="gru", options=listed | {"variant": "coupled_gates"})))


@pytest.fixture
def leaky():
    class Leaky(CELLS["gru"]):
        name = "leaky"
        options: ClassVar = {"leak": Option(0.5, "share of the state that stays", number(0, 1))}

    CELLS.add(Leaky)
    yield Leaky
    CELLS.clear()


def test_a_setting_out_of_range_is_refused(leaky):
    with pytest.raises(UserError, match=r"model\.options\.leak=2: allowed is a number of at least 0 and at most 1"):
        checked(Config(model=ModelConfig(cell="leaky", options={"leak": 2})))


def test_a_cell_gets_its_settings_and_the_defaults_of_the_others(leaky):
    assert RecurrentLayers("leaky", 3, 4).cell.settings == {"leak": 0.5}
    assert RecurrentLayers("leaky", 3, 4, options={"leak": 0.25}).cell.settings == {"leak": 0.25}


def test_a_setting_counts_in_the_fingerprint_where_it_is_not_the_default(leaky):
    prints = [
        fingerprint(Config(model=ModelConfig(cell="leaky", options=options)), "")
        for options in ({}, {"leak": 0.5}, {"leak": 0.25})
    ]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize("name", CELLS.names)
def test_the_settings_of_a_cell_are_known_without_its_class(name):
    known, own = options_of(name), CELLS[name].options
    assert list(known) == list(own)
    for key, it in own.items():
        assert (known[key].default, known[key].meaning) == (it.default, it.meaning)
        assert known[key].rule.words == it.rule.words


def test_a_value_of_another_type_is_refused():
    for value in ("two", 1.5, True, None):
        with pytest.raises(UserError, match=r"model\.options\.heads=.*: allowed is an integer of at least 1"):
            checked(Config(model=ModelConfig(cell="slstm", options={"heads": value})))
