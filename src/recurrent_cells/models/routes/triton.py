"""A layer of K networks, or of one, as two kernels: all steps forward, all steps backward.

A loop over steps launches several kernels for each and reads the recurrent weights anew. Here a program holds them on
the chip for all steps; what is no recurrence, the inputs' part and the gradients of weights, is one product each.
"""

import importlib
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recurrent_cells.models.cells import Cell, Weights

if TYPE_CHECKING:
    from recurrent_cells.models.layers import RecurrentLayers

# How exact products are, and the type of what is multiplied.
PRODUCTS = {"ieee": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# Bytes that a program may have on an H100 or H200.
H100_MEMORY = 232_448


@dataclass(frozen=True)
class Blocks:
    """How a kernel is divided: rows of a program, units with padding, warps of threads, steps at once, most bytes."""

    rows: int
    width: int
    warps: int
    stages: int
    memory: int


def blocks(cell: Cell, hidden_size: int, products: str, backward: bool, memory: int = H100_MEMORY) -> Blocks | None:
    """Blocks that hold the weights and most rows, and next what is read ahead, within `memory`; None if none does."""
    size, gates = PRODUCTS[products].itemsize, cell.by_hand.num_gates
    width = max(16, 1 << (hidden_size - 1).bit_length())  # a power of two, as tensor cores want
    # Exact products do without tensor cores: of large weights a thread would hold more than it has registers for.
    exact = products == "ieee"
    if exact and gates > 1 and width > 64:
        return None
    warps = 4 if gates == 1 and width <= 64 and not exact else 8
    # Bytes of a row and unit: what a step reads, and what threads hand one another, at most.
    read, handed = (4 * kernels(cell).NUM_READ, (gates + 1) * size) if backward else (gates * size, 4)
    for rows, stages in ((16, 2), (16, 1)) if exact else ((32, 2), (16, 2), (16, 1)):
        needed = gates * width * width * size + rows * width * ((stages - 1) * read + handed)
        if needed <= memory:
            return Blocks(rows, width, warps, stages, needed)
    return None


def kernels(cell: Cell) -> Any:
    """The module of the cell's kernels; Triton is imported here first."""
    return importlib.import_module(f"recurrent_cells.models.routes.triton_kernels.{cell.name}")


def interprets() -> bool:
    """Whether Triton interprets kernels, on any device, rather than compiles them."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def missing() -> str:
    """What compiling kernels takes and this machine does not have, in words; nothing if there is all."""
    if find_spec("triton") is None:
        return "the package triton, which torch brings on Linux"
    if not any(map(shutil.which, (os.environ.get("CC", ""), "gcc", "clang"))):
        return "a C compiler, gcc or clang"
    return ""


def fits(layers: "RecurrentLayers", x: Tensor, lengths: Tensor | None) -> bool:
    if not interprets() and not (x.is_cuda and torch.cuda.get_device_capability(x.device) >= (8, 0)):
        return False
    if layers.weight_hh_l0.dtype != torch.float32 or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    products, memory = _products(x.device.type), _memory(x.device)
    passes = (blocks(layers.cell, layers.hidden_size, products, backward, memory) for backward in (False, True))
    return all(found is not None for found in passes)


def layer(cell: Cell, x: Tensor, weights: Weights, hidden_size: int, reverse: bool) -> tuple[Tensor, Tensor]:
    settings = cell, reverse, torch.is_grad_enabled()
    if x.dim() == 4:
        outputs, last = _Layer.apply(*settings, x, *weights.values())
        return outputs, last
    outputs, last = _Layer.apply(*settings, x[None], *(weight[None] for weight in weights.values()))
    return outputs[0], last[0]


class _Layer(torch.autograd.Function):
    """One layer in one direction: (K, T, B, F) → (K, T, B, H), and the last state (K, B, H).

    Planes lie beside one another in the last dimension; `saved` is what backward reads besides the outputs.
    """

    @staticmethod
    def forward(ctx: Any, cell: Cell, reverse: bool, keep: bool, x: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)  # where only the last state is read there are no gradients of all steps
        weight_ih, weight_hh, bias_ih, bias_hh = weights
        products = _products(x.device.type)
        inputs, weight_ih = x.flatten(1, 2).to(PRODUCTS[products]), weight_ih.to(PRODUCTS[products])
        weight_hh, hidden = weight_hh.contiguous(), weight_hh.shape[2]
        joint = (cell.by_hand.num_gates - cell.by_hand.num_apart) * hidden
        both = bias_ih[:, :joint] + bias_hh[:, :joint]
        bias = torch.cat([bias_hh[:, joint:], both, bias_ih[:, joint:]], dim=1)
        outputs = bias.new_empty(*x.shape[:3], hidden)
        saved = bias.new_empty(*x.shape[:3], kernels(cell).NUM_SAVED * hidden if keep else 0)
        tensors = torch.bmm(inputs, weight_ih.mT), bias, weight_hh, outputs, saved
        _launch(cell, products, False, outputs.shape, *tensors, REVERSE=reverse, KEEP=keep)
        ctx.save_for_backward(inputs, weight_ih, weight_hh, outputs, saved)
        ctx.settings = cell, products, reverse, x.dtype
        return outputs, outputs[:, 0 if reverse else -1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        inputs, weight_ih, weight_hh, outputs, saved = ctx.saved_tensors
        cell, products, reverse, dtype = ctx.settings
        hidden, gates, apart = outputs.shape[-1], cell.by_hand.num_gates, cell.by_hand.num_apart
        d_last = torch.zeros_like(outputs[:, 0]) if d_last is None else d_last.contiguous()
        of_steps = d_last if d_outputs is None else d_outputs.contiguous()
        d_planes = inputs.new_empty(*outputs.shape[:3], (apart + gates) * hidden)
        tensors = outputs, saved, weight_hh, of_steps, d_last, d_planes
        has_outputs = d_outputs is not None
        _launch(cell, products, True, outputs.shape, *tensors, REVERSE=reverse, HAS_OUTPUTS=has_outputs)
        d_gates, d_products = d_planes[..., apart * hidden :].flatten(1, 2), d_planes[..., : gates * hidden]
        now, before = (slice(0, -1), slice(1, None)) if reverse else (slice(1, None), slice(0, -1))
        earlier = outputs[:, before].flatten(1, 2).to(inputs.dtype)
        d_weight_hh = torch.bmm(d_products[:, now].flatten(1, 2).mT, earlier).float()
        d_bias = d_planes.sum(dim=(1, 2), dtype=torch.float32)
        d_bias_hh = d_bias[:, : gates * hidden]
        if apart:
            d_weight_hh, d_bias_hh = (it.roll(-apart * hidden, dims=1) for it in (d_weight_hh, d_bias_hh))
        d_weight_ih = torch.bmm(d_gates.mT, inputs).float()
        d_x = None
        if ctx.needs_input_grad[3]:
            d_x = torch.bmm(d_gates, weight_ih).unflatten(1, outputs.shape[1:3]).to(dtype)
        return None, None, None, d_x, d_weight_ih, d_weight_hh, d_bias[:, apart * hidden :], d_bias_hh


def _products(device_type: str) -> str:
    """How exact products are, as autocast and TF32 are set."""
    if torch.is_autocast_enabled(device_type):
        return "bf16" if torch.get_autocast_dtype(device_type) == torch.bfloat16 else "fp16"
    return "tf32" if torch.backends.cuda.matmul.allow_tf32 else "ieee"


def _memory(device: torch.device) -> int:
    """Bytes that a program may have."""
    if device.type != "cuda":
        return H100_MEMORY
    return torch.cuda.get_device_properties(device).shared_memory_per_block_optin


def _launch(
    cell: Cell, products: str, backward: bool, shape: Sequence[int], *tensors: Tensor, **constants: bool
) -> None:
    """Run a kernel for all networks and rows of outputs of `shape`."""
    networks, steps, batch, hidden = shape
    chosen = blocks(cell, hidden, products, backward, _memory(tensors[0].device))
    assert chosen is not None, "fits says whether there are blocks"
    kernel = kernels(cell).backward if backward else kernels(cell).forward
    with torch.cuda.device_of(tensors[0]):
        kernel[math.ceil(batch / chosen.rows), networks](
            *tensors,
            batch,
            T=steps,
            SIZE=hidden,
            WIDTH=chosen.width,
            ROWS=chosen.rows,
            STAGES=chosen.stages,
            PRODUCTS=products,
            num_warps=chosen.warps,
            enable_fp_fusion=True,
            **constants,
        )
