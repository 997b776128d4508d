"""Hydra's and OmegaConf's errors as users read them."""

import pytest
from hydra.errors import ConfigCompositionException, MissingConfigException

from recurrent_cells.config.messages import explain, suggestion
from recurrent_cells.config.validation import validated
from recurrent_cells.errors import TrialError, UserError
from recurrent_cells.tables import CELLS
from tests.support import compose_config

INTEGER = "allowed is an integer of at least 1"
CELL_NAMES = ", ".join(CELLS.names)
TWICE = "not understood; close brackets, and quote special characters twice: 'key=\"a b!\"'"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.hidden_size=abc", f"model.hidden_size=abc: {INTEGER}"),
        ("model.hidden_size=1.5", f"model.hidden_size=1.5: {INTEGER}"),
        ("model.hidden_size=", f"model.hidden_size=: {INTEGER}"),
        ("model.hidden_size=null", f"model.hidden_size=null: {INTEGER}"),
        ("model={hidden_size:abc}", f"model.hidden_size=abc: {INTEGER}"),
        ("model.bidirectional=maybe", "model.bidirectional=maybe: allowed is true or false"),
        ("trainer.progress=maybe", "trainer.progress=maybe: allowed is true, false or null"),
        ("trainer.max_steps=abc", f"trainer.max_steps=abc: {INTEGER}, or null"),
        ("model.hiden_size=3", "model.hiden_size: no such key; did you mean model.hidden_size?"),
        ("+model={hiden_size:3}", "model.hiden_size: no such key; did you mean model.hidden_size?"),
        ("modle.hidden_size=3", "modle.hidden_size: no such key; did you mean model.hidden_size?"),
        ("modle=lstm", "modle: no such key; did you mean model?"),
        ("experment=x", "experment: no such key; did you mean experiment?"),
        ("lr=1", "lr: no such key; did you mean optimizer.lr?"),
        ("trainer.epochs=1", "trainer.epochs: no such key; did you mean trainer.max_epochs?"),
        ("model.cell.x=1", "model.cell.x: no such key; did you mean model.cell?"),
        ("quux=1", "quux: no such key; python -m src.train --help shows them all"),
        ("~quux", "quux: no such key; python -m src.train --help shows them all"),
        ("hydra.quux=1", "hydra.quux: no such key; python -m src.train --cfg hydra shows them all"),
        ("hydra.mode=x", "hydra.mode: Invalid value 'x', expected one of [RUN, MULTIRUN]"),
        ("~model.cell", f"~model.cell: a key cannot be left out; give it a value, one of {CELL_NAMES}"),
        ("model=foo", f"model=foo: no such option; allowed are {CELL_NAMES}"),
        ("model=ltsm", f"model=ltsm: no such option; allowed are {CELL_NAMES}; did you mean model=lstm?"),
        ("optimizer=foo", "optimizer=foo: no such option; allowed are adam, adamw, rmsprop, sgd"),
        (
            "model=null",
            "null and numbers are no options of a group (model, data, …): name one, or leave the group out",
        ),
        ("model=lstm,gru", "model=lstm,gru: several values are a sweep; add -m, or give one value"),
        ("seed=range(0,3)", "seed=range(0,3): several values are a sweep; add -m, or give one value"),
        ("foo", "foo: not understood; write key=value, or ~group to leave one out"),
        ("model.head=[linear", f"model.head=[linear: {TWICE}"),
        ("tracking.experiment=a!", f"tracking.experiment=a!: {TWICE}"),
        ("tracking.experiment=???", "tracking.experiment=???: a value is missing; allowed is a name that is not blank"),
        ("seed=${quux}", "seed: Interpolation key 'quux' not found"),
        ("+model=gru", "Multiple values for model. To override a value use 'override model: gru'"),
    ],
)
def test_an_override_that_will_not_do_is_explained_in_a_line(override, message):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        validated(compose_config(override))
    assert explain(caught.value) == message


def test_a_fault_in_a_config_file_names_the_file():
    error = ConfigCompositionException("In 'experiment/best': ConfigAttributeError raised while composing config")
    with pytest.raises(ConfigCompositionException) as caught:
        compose_config("optimizer.lrr=1")
    error.__cause__ = caught.value.__cause__
    assert explain(error) == "conf/experiment/best.yaml: optimizer.lrr: no such key; did you mean optimizer.lr?"


def test_a_group_without_options_says_so():
    error = MissingConfigException("Could not find 'experiment/foo'", "experiment/foo", [])
    assert explain(error) == "experiment=foo: no such option; the group has none"


def test_other_errors_keep_their_kind_and_two_lines():
    assert explain(UserError("as it is")) == "as it is"
    assert explain(TrialError("the loss is nan")) == "the loss is nan"
    assert explain(ZeroDivisionError("division by zero")) == "ZeroDivisionError: division by zero"
    assert explain(RuntimeError("one\n\ntwo\nthree")) == "RuntimeError: one\ntwo"
    assert explain(FileExistsError(17, "File exists", "/a/b")) == (
        "/a/b: cannot be used (File exists); make it writable or choose another place"
    )


def test_nothing_is_suggested_for_what_resembles_nothing():
    assert suggestion("zzz.qqq") is None
