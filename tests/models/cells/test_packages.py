"""Cells beside packages that have the same ones, where these are installed."""

import pytest
import torch

from recurrent_cells.models.layers import RecurrentLayers
from recurrent_cells.models.routes.linear_scan import scan


@pytest.mark.parametrize(("cell", "name", "order"), [("min_gru", "minGRU", (1, 0)), ("min_lstm", "minLSTM", (1, 2, 0))])
def test_mingru_pytorch_gives_the_same(cell, name, order):
    """The package's product has v first and no bias."""
    package = pytest.importorskip(f"minGRU_pytorch.{name}")
    theirs = getattr(package, name)(3, expansion_factor=2, proj_out=False).double()
    layers = RecurrentLayers(cell, 3, 6).double()
    parts = next(theirs.parameters()).detach().chunk(len(order))
    with torch.no_grad():
        layers.weight_ih_l0.copy_(torch.cat([parts[place] for place in order]))
        layers.bias_ih_l0.zero_()
    x = torch.randn(2, 9, 3, dtype=torch.float64)
    torch.testing.assert_close(layers(x)[0], theirs(x), rtol=1e-8, atol=1e-8)


def test_s5_pytorch_gives_the_same_as_an_lru():
    """Of S5 the discretised system is an LRU's, of which each eigenvalue has a phase from 0 to 2π."""
    s5 = pytest.importorskip("s5")
    theirs = s5.S5(4, 6)
    layers = RecurrentLayers("lru", 4, 4, options={"state_size": 6})
    with torch.no_grad():
        b, c = theirs.seq.get_BC_tilde()
        eigenvalues, b = theirs.seq.discretize(theirs.seq.Lambda, b, theirs.seq.log_step.exp())
        layers.nu_l0.copy_((-eigenvalues.abs().log()).log())
        layers.theta_l0.copy_((eigenvalues.angle() % (2 * torch.pi)).log())
        layers.gamma_l0.zero_()
        layers.weight_b_l0.copy_(torch.view_as_real(b.mT.contiguous()).flatten(-2).mT)
        layers.weight_c_l0.copy_(torch.view_as_real(c.conj().resolve_conj()).flatten(-2))
        layers.weight_d_l0.copy_(theirs.seq.D.diag())
    x = torch.randn(2, 9, 4)
    torch.testing.assert_close(layers(x)[0], theirs(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reverse", [False, True])
def test_accelerated_scan_gives_the_same(reverse):
    """The reference of the package, which alone runs on a CPU; its steps stand last."""
    package = pytest.importorskip("accelerated_scan.ref")
    a, b = torch.rand(2, 3, 8, dtype=torch.float64), torch.randn(2, 3, 8, dtype=torch.float64)
    ours_a, ours_b = a.movedim(-1, 0), b.movedim(-1, 0)
    links = ours_a[:-1] if reverse else ours_a[1:]
    theirs = package.scan(a.contiguous(), b.contiguous(), reverse=reverse)
    torch.testing.assert_close(scan(links, ours_b, None, reverse), theirs.movedim(-1, 0))


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_xlstm_gives_the_same_as_an_slstm(heads):
    """The way of the package that is torch alone; the package also has a bias of the input gate, here 0."""
    package = pytest.importorskip("xlstm.blocks.slstm.cell")
    settings = {"backend": "vanilla", "dtype": "float32", "enable_automatic_mixed_precision": False}
    theirs = package.sLSTMCell(package.sLSTMCellConfig(hidden_size=6, num_heads=heads, **settings)).double()
    layers = RecurrentLayers("slstm", 3, 6, options={"heads": heads}).double()
    with torch.no_grad():
        theirs._recurrent_kernel_.copy_(layers.weight_hh_l0)
        theirs._bias_.copy_(torch.cat([torch.zeros(6), layers.bias_ih_l0]))
    x = torch.randn(2, 9, 3, dtype=torch.float64)
    outputs = layers(x)[0]
    their_outputs = theirs(x @ layers.weight_ih_l0.mT)[0].transpose(1, 2).flatten(2)
    torch.testing.assert_close(outputs, their_outputs, rtol=1e-9, atol=1e-10)
    (gradient,) = torch.autograd.grad(outputs.pow(2).sum(), layers.weight_hh_l0)
    (their_gradient,) = torch.autograd.grad(their_outputs.pow(2).sum(), theirs._recurrent_kernel_)
    torch.testing.assert_close(gradient, their_gradient, rtol=1e-9, atol=1e-10)
