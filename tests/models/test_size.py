"""The hidden size that makes a network as large as asked for."""

import pytest

from recurrent_cells.config.schema import ModelConfig
from recurrent_cells.errors import UserError
from recurrent_cells.models.cells.gru import GRU
from recurrent_cells.models.size import count_parameters, matching_size
from recurrent_cells.tables import CELLS

FEATURES, CLASSES = 28, 10


def size_of(cell, wanted, **more):
    return matching_size(ModelConfig(cell=cell, match=f"parameters:{wanted}", **more), FEATURES, CLASSES)


@pytest.mark.parametrize(("cell", "expected"), [("simple_rnn", 267), ("lstm", 128), ("gru", 150)])
def test_sizes_of_equal_parameters(cell, expected):
    assert size_of(cell, 82186) == expected


@pytest.mark.parametrize("wanted", [1200, 1300, 5555])
@pytest.mark.parametrize(
    "more", [{"bidirectional": True}, {"num_layers": 2, "block": "residual"}, {"frontend": "linear", "biases": 1}]
)
def test_no_other_size_is_nearer(wanted, more):
    counts = {
        size: count_parameters(ModelConfig(cell="simple_rnn", hidden_size=size, **more), FEATURES, CLASSES)
        for size in range(1, 80)
    }
    nearest = min(counts, key=lambda size: abs(counts[size] - wanted))
    if abs(counts[nearest] - wanted) <= 0.05 * wanted:
        assert size_of("simple_rnn", wanted, **more) == nearest
    else:
        with pytest.raises(UserError, match=rf"the nearest is model.hidden_size={nearest} with {counts[nearest]:,} "):
            size_of("simple_rnn", wanted, **more)


@pytest.mark.slow
def test_sizes_that_a_cell_refuses_are_passed_over():
    class InEights(GRU):
        name = "in_eights"

        def shapes(self, input_size, hidden_size):
            if hidden_size % 8:
                raise UserError(f"model.hidden_size={hidden_size}: allowed are multiples of 8")
            return super().shapes(input_size, hidden_size)

    class InNone(GRU):
        name = "in_none"

        def shapes(self, input_size, hidden_size):
            raise UserError("no size will do")

    CELLS.add(InEights)
    CELLS.add(InNone)
    try:
        assert size_of("in_eights", 84000) == 152
        with pytest.raises(UserError, match="no size will do"):
            size_of("in_none", 82186)
    finally:
        CELLS.clear()


@pytest.mark.parametrize(("wanted", "nearest"), [(10, 1), (150, 3)])
def test_a_count_that_none_meets_is_refused(wanted, nearest):
    said = rf"^model.match=parameters:{wanted}: no hidden size of simple_rnn comes within 5 %.*hidden_size={nearest} "
    with pytest.raises(UserError, match=said):
        size_of("simple_rnn", wanted)
