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
        before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
        torch.set_autocast_enabled("cuda", LOW[precision] is not None)  # torch.autocast would look for a GPU
        torch.set_autocast_dtype("cuda", LOW[precision] or torch.float16)
        try:
            yield of_cudnn
        finally:
            torch.set_autocast_enabled("cuda", before[0])
            torch.set_autocast_dtype("cuda", before[1])
