"""How many sequences are evaluated at once."""

from types import SimpleNamespace

import pytest

from recurrent_cells.config.validation import validated
from recurrent_cells.training.chunks import MOST_STATES, evaluated_at_once
from tests.support import compose_config


@pytest.mark.parametrize(
    ("steps", "overrides", "networks", "expected"),
    [
        (28, (), 1, 1000),
        (28, ("model.hidden_size=512", "model.bidirectional=true"), 1, 1000),
        (28, (), 8, 125),
        (784, (), 1, MOST_STATES // (784 * 128)),
        (784, ("model.bidirectional=true",), 2, MOST_STATES // (784 * 256) // 2),
        (784, ("model.frontend=conv", "model.frontend_size=32"), 1, MOST_STATES // (784 * 32 * 128)),
        (10**6, ("model.hidden_size=1024",), 3, 1),
    ],
)
def test_as_many_as_asked_for_where_their_states_are_few(steps, overrides, networks, expected):
    config = validated(compose_config(*overrides))
    assert evaluated_at_once(config, SimpleNamespace(num_steps=steps), networks) == expected
