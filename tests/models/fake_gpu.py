"""A GPU that is not there: tensors that have a device, a type and a shape, and nothing in them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from recurrent_cells.models.routes import reference, torch_nn

PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "mkldnn_rnn_layer")
LOW = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16, "32-true": None, "64-true": None}


class Products(TorchDispatchMode):
    """The types of the products that are taken, in `types`."""

    def __init__(self) -> None:
        super().__init__()
        self.types: set[torch.dtype] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.name().removeprefix("aten::").partition(".")[0] in PRODUCTS:
            self.types.add(args[0].dtype)
        return function(*args, **(kwargs or {}))


@contextmanager
def fake_gpu(monkeypatch, precision: str) -> Iterator[list[torch.dtype]]:
    """Tensors made within may be on "cuda", under the autocast of a precision; gives what cuDNN would compute in.

    In the place of cuDNN, which there is not, stands the reference.
    """
    of_cudnn = []

    def cudnn(layers, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        low = torch.is_autocast_enabled("cuda")
        of_cudnn.append(torch.float16 if low else x.dtype)  # as its wrapper has it, whatever the autocast
        assert low or x.dtype == layers.weight_hh_l0.dtype
        x = x.transpose(0, 1)
        for layer in range(layers.num_layers):
            x, last = reference.layer(layers.cell, x, layers.weights(layer, ""), layers.hidden_size, reverse=False)
        return x.transpose(0, 1), (last,)

    with monkeypatch.context() as patch, FakeTensorMode(allow_non_fake_inputs=True):
        patch.setattr(torch_nn, "flatten", lambda layers: None)
        patch.setattr(torch_nn, "stack", cudnn)
        use_stand_ins(patch)  # torch 2.11 does not know all shapes of the kernels
        before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
        torch.set_autocast_enabled("cuda", LOW[precision] is not None)  # torch.autocast would look for a GPU
        torch.set_autocast_dtype("cuda", LOW[precision] or torch.float16)
        try:
            yield of_cudnn
        finally:
            torch.set_autocast_enabled("cuda", before[0])
            torch.set_autocast_dtype("cuda", before[1])


def use_stand_ins(monkeypatch) -> None:
    """Have torch's fused kernels, which a GPU alone has, stand for what they compute."""
    for name, stand_in in {
        "_thnn_fused_lstm_cell": lstm_cell,
        "_thnn_fused_lstm_cell_backward_impl": lstm_cell_backward,
        "_thnn_fused_gru_cell": gru_cell,
        "_thnn_fused_gru_cell_backward": gru_cell_backward,
    }.items():
        getattr(torch.ops.aten, name)  # there is such a kernel
        monkeypatch.setattr(torch.ops.aten, name, stand_in)


def lstm_cell(inputs: Tensor, products: Tensor, c: Tensor, *_: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    i, f, g, o = (inputs + products).chunk(4, dim=1)
    gates = [i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()]
    after = gates[1] * c + gates[0] * gates[2]
    return gates[3] * after.tanh(), after, torch.cat(gates, dim=1)


def lstm_cell_backward(
    d_h: Tensor, d_c: Tensor | None, before: Tensor, after: Tensor, workspace: Tensor, has_bias: bool
) -> tuple[Tensor, Tensor, None]:
    i, f, g, o = workspace.chunk(4, dim=1)
    d_after = d_h * o * (1 - after.tanh() ** 2) + (0 if d_c is None else d_c)
    d_o = d_h * after.tanh()
    parts = [d_after * g * i * (1 - i), d_after * before * f * (1 - f), d_after * i * (1 - g**2), d_o * o * (1 - o)]
    return torch.cat(parts, dim=1), d_after * f, None


def gru_cell(inputs: Tensor, products: Tensor, h: Tensor, *_: Tensor | None) -> tuple[Tensor, Tensor]:
    (r, z, n), (of_r, of_z, of_n) = inputs.chunk(3, dim=1), products.chunk(3, dim=1)
    r, z = (r + of_r).sigmoid(), (z + of_z).sigmoid()
    n = (n + r * of_n).tanh()
    return n + z * (h - n), torch.cat([r, z, n, h, of_n], dim=1)


def gru_cell_backward(d_h: Tensor, workspace: Tensor, has_bias: bool) -> tuple[Tensor, Tensor, Tensor, None, None]:
    r, z, n, h, of_n = workspace.chunk(5, dim=1)
    d_z = d_h * (h - n) * z * (1 - z)
    d_n = d_h * (1 - z) * (1 - n**2)
    d_r = d_n * of_n * r * (1 - r)
    return torch.cat([d_r, d_z, d_n], dim=1), torch.cat([d_r, d_z, d_n * r], dim=1), d_h * z, None, None
