"""What is decided of a trial from its config and its data."""

from types import SimpleNamespace

import pytest

from recurrent_cells.config.validation import validated
from recurrent_cells.trial.spec import flushes_denormals, run_name
from tests.support import compose_config


@pytest.mark.parametrize(
    ("is_image", "overrides", "expected"),
    [
        (True, (), False),
        (True, ("data.sequence=columns",), False),
        (True, ("trainer.flush_denormals=true",), True),
        (False, (), True),
        (False, ("trainer.flush_denormals=false",), False),
        (False, ("trainer.threads=2",), False),
    ],
)
def test_denormals_are_flushed_where_no_earlier_trial_kept_them(is_image, overrides, expected):
    config = validated(compose_config(*overrides))
    assert flushes_denormals(config, SimpleNamespace(is_image=is_image)) is expected


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (("model=gru", "seed=3"), "gru-h128x1-s3"),
        (("model.block=residual", "model.num_layers=4", "model.hidden_size=64"), "lstm-residual-h64x4-s0"),
    ],
)
def test_a_run_is_called_by_its_network_and_seed(overrides, expected):
    assert run_name(validated(compose_config(*overrides))) == expected
