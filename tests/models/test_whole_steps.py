"""What steps written by hand share."""

import pytest
import torch

from recurrent_cells.models.whole_steps import tanh_


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 2e-7), (torch.float64, 4e-16)])
def test_tanh_is_torch_s_to_rounding(dtype, allowed):
    x = torch.linspace(-12, 12, 4001, dtype=dtype)
    assert (tanh_(x.clone()) - x.tanh()).abs().max() <= allowed


def test_tanh_of_what_has_no_bound():
    found = tanh_(torch.tensor([-torch.inf, 0.0, torch.inf, torch.nan]))
    assert found[:3].tolist() == [-1.0, 0.0, 1.0]
    assert found[3].isnan()
