"""K networks at once on a GPU: a step is one product and one of the kernels that torch has for LSTM and GRU cells.

Rows lie in the order (T, B, K): a step is one piece of memory, and cuBLAS takes the rows of a network as they lie.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from recurrent_cells.models.cells import Cell, Weights
from recurrent_cells.models.routes import torch_loop

Kept = tuple[Tensor, ...]


def fits(layers: nn.Module, x: Tensor, lengths: Tensor | None) -> bool:
    cell: Any = layers.cell
    return torch_loop.fits(layers, x, lengths) and torch_loop.on_gpu(x) and cell.name in STEPS


def layer(cell: Cell, x: Tensor, weights: Weights, hidden_size: int, reverse: bool) -> tuple[Tensor, Tensor]:
    outputs, last = _Layer.apply(STEPS[cell.name], reverse, x, *weights.values())
    return outputs, last


class LSTMStep:
    """Rows (N, …) of `inputs` and `products` (N, 4 H), each with its biases, and of states (N, H)."""

    # whether the biases of the recurrent products have to be in these, and not with those of the inputs
    bias_apart: ClassVar[bool] = False

    @staticmethod
    def forward(inputs: Tensor, products: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Kept]:
        """h, c, and what `backward` takes."""
        h, after, gates = torch.ops.aten._thnn_fused_lstm_cell(inputs, products, c)
        return h, after, (c, after, gates)

    @staticmethod
    def backward(d_h: Tensor, d_c: Tensor | None, kept: Kept) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        """Gradients of `inputs`, of `products`, and of h (other than through the products) and c."""
        d_gates, d_c, _ = torch.ops.aten._thnn_fused_lstm_cell_backward_impl(d_h, d_c, *kept, False)
        assert d_c is not None
        return d_gates, d_gates, None, d_c


class GRUStep:
    """As LSTMStep, with three gates; c is not used."""

    bias_apart: ClassVar[bool] = True

    @staticmethod
    def forward(inputs: Tensor, products: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Kept]:
        h, kept = torch.ops.aten._thnn_fused_gru_cell(inputs, products, h)
        return h, c, (kept,)

    @staticmethod
    def backward(d_h: Tensor, d_c: Tensor | None, kept: Kept) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        d_inputs, d_products, d_h, *_ = torch.ops.aten._thnn_fused_gru_cell_backward(d_h, *kept, False)
        return d_inputs, d_products, d_h, None


STEPS: dict[str, type[LSTMStep] | type[GRUStep]] = {"lstm": LSTMStep, "gru": GRUStep}


class _Layer(torch.autograd.Function):
    """One layer in one direction: (K, T, B, F) → (K, T, B, H), and the last state (K, B, H)."""

    @staticmethod
    def forward(ctx: Any, step: type[LSTMStep], reverse: bool, x: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        weight_ih, weight_hh, bias_ih, bias_hh = weights
        networks, count, batch, _ = x.shape
        width, hidden = weight_hh.shape[1:]
        inputs, weight = torch_loop.with_biases(x, weight_ih, bias_ih if step.bias_apart else bias_ih + bias_hh)
        inputs = inputs.flatten(1, 2)
        gates = x.new_empty(count, batch * networks, width)
        torch.bmm(inputs, weight.mT, out=_of_networks(gates, networks))
        products = x.new_zeros(batch * networks, width)
        h = c = x.new_zeros(batch * networks, hidden)
        states: list[Tensor] = []
        kept: list[Kept] = []
        for of_inputs in _in_order(gates, reverse):
            if step.bias_apart:
                products.view(batch, networks, width).copy_(bias_hh)
            if states:
                _multiply(h, weight_hh.mT, products, networks, add=step.bias_apart)
            h, c, of_step = step.forward(of_inputs, products, h, c)
            states.append(h)
            kept.append(of_step)
        outputs = torch.stack(states[::-1] if reverse else states)  # (T, B·K, H)
        ctx.save_for_backward(weight_ih, weight_hh)
        ctx.kept = step, reverse, kept, outputs, inputs
        by_network = outputs.view(count, batch, networks, hidden).permute(2, 0, 1, 3)
        return by_network, by_network[:, 0 if reverse else -1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        weight_ih, weight_hh = ctx.saved_tensors
        (step, reverse, kept, outputs, inputs), ctx.kept = ctx.kept, None
        networks, hidden = len(weight_hh), weight_hh.shape[2]
        count, rows, _ = outputs.shape
        space = torch.empty_like(outputs[0])
        d_h = torch.zeros_like(space) if d_last is None else d_last.transpose(0, 1).reshape(rows, hidden)
        of_outputs = [None] * count if d_outputs is None else list(d_outputs.permute(1, 2, 0, 3).unbind())
        d_direct: Tensor | None = None  # of h other than through the products
        d_c: Tensor | None = None
        d_inputs: list[Tensor] = []
        d_products: list[Tensor] = []
        for of_step, d_output in zip(reversed(kept), of_outputs if reverse else of_outputs[::-1], strict=True):
            if d_products:
                onto = space if d_direct is None else d_direct
                d_h = _multiply(d_products[-1], weight_hh, onto, networks, add=d_direct is not None)
            if d_output is not None:
                d_h = d_h + d_output.reshape(rows, hidden)
            of_inputs, of_products, d_direct, d_c = step.backward(d_h, d_c, of_step)
            d_inputs.append(of_inputs)
            d_products.append(of_products)
        to_inputs = _of_networks(torch.stack(d_inputs if reverse else d_inputs[::-1]), networks)
        to_products = to_inputs
        if step.bias_apart:
            to_products = _of_networks(torch.stack(d_products if reverse else d_products[::-1]), networks)
        batch = rows // networks
        states = _of_networks(outputs, networks)
        earlier, later = slice(0, -batch), slice(batch, None)
        now, before = (earlier, later) if reverse else (later, earlier)
        d_recurrent = torch.bmm(to_products[:, now].mT, states[:, before])
        d_weight = torch.bmm(to_inputs.mT, inputs)
        d_x = None
        if ctx.needs_input_grad[2]:
            d_x = torch.bmm(to_inputs, weight_ih).unflatten(1, (count, batch))
        features = weight_ih.shape[-1]
        d_bias = d_weight[..., features]
        d_bias_hh = to_products.sum(dim=1) if step.bias_apart else d_bias
        return None, None, d_x, d_weight[..., :features], d_recurrent, d_bias, d_bias_hh


def _multiply(rows: Tensor, weight: Tensor, out: Tensor, networks: int, add: bool) -> Tensor:
    """Write the products of rows (B·K, …) with the weights of their networks (K, …) into `out`, or add them there."""
    a, products = (it.view(-1, networks, it.shape[-1]).transpose(0, 1) for it in (rows, out))
    if add:
        products.baddbmm_(a, weight)
    else:
        torch.bmm(a, weight, out=products)
    return out


def _of_networks(steps: Tensor, networks: int) -> Tensor:
    """Rows (T, B·K, …) by their networks, (K, T·B, …)."""
    return steps.view(-1, networks, steps.shape[-1]).transpose(0, 1)


def _in_order(steps: Tensor, reverse: bool) -> list[Tensor]:
    taken = list(steps.unbind())
    return taken[::-1] if reverse else taken
