import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from recurrent_cells.serving.base import BadRequest
from recurrent_cells.serving.payloads import read_series

TRAINED: Any = SimpleNamespace(
    feature_names=("load", "sound"),
    size=(3, 2),
    config=SimpleNamespace(data=SimpleNamespace(missing="refuse")),
    network=SimpleNamespace(has_lengths=True),
    check=lambda *_: None,
)


def asked(columns, data):
    return json.dumps({"dataframe_split": {"columns": columns, "data": data}}).encode()


@pytest.mark.parametrize("columns", [["load", "sound"], [], [0, 1]])
def test_columns_in_the_order_of_the_features_or_without_names_stay_so(columns):
    found = read_series(asked(columns, [[[1, 2], [3, 4]]]), TRAINED)
    np.testing.assert_array_equal(found, [[[1, 2], [3, 4]]])


def test_columns_are_found_by_their_names():
    found = read_series(asked(["sound", "load"], [[[1, 2], [3, 4]]]), TRAINED)
    np.testing.assert_array_equal(found, [[[2, 1], [4, 3]]])


def test_columns_of_other_names_are_refused():
    with pytest.raises(BadRequest, match="load, sound"):
        read_series(asked(["sound", "heat"], [[[1, 2], [3, 4]]]), TRAINED)
