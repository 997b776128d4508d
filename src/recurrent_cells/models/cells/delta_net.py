"""DeltaNet: a matrix of keys and values, in which each step replaces what is stored at its key."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from recurrent_cells.config.rules import number
from recurrent_cells.models.cells import HEADS, Cell, Option, Shapes, State, Weights, units_of_head


class DeltaNet(Cell):
    """S' = S (I - β k kᵀ) + β v kᵀ, h' = S' q in each head; q, k, v and β are of x alone.

    q = silu(W_q x + b_q) / |…| and k likewise have length 1; v = W_v x + b_v; β = max_beta · sigmoid(W_β x + b_β), one
    number a head. With max_beta = 1 the eigenvalues of I - β k kᵀ lie in [0, 1], with 2 in [-1, 1], which parity takes.
    What the paper puts around the recurrence, a short convolution before and a norm and a projection after, is not part
    of the cell; its biases are added, as those of the other cells.

    W (3 H + heads, F) and b hold q, k, v, β in this order; (3 H + heads) (F + 1) parameters. S of a head is
    (H/heads, H/heads).
    """

    name, label, color = "delta_net", "DeltaNet", "#6B6B6B"
    source = (
        "Yang et al. 2024, Parallelizing linear transformers with the delta rule over sequence length; "
        "Grazzi et al. 2024, Unlocking state-tracking in linear RNNs through negative eigenvalues"
    )
    options: ClassVar = {
        "heads": HEADS,
        "max_beta": Option(1, "the largest β: 1, or 2 for eigenvalues down to -1", number(0, 2, above=True)),
    }
    recurrent = ()
    routes = ("chunks",)

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        heads = self.settings["heads"]
        units_of_head(heads, hidden_size)
        rows = 3 * hidden_size + heads
        return {"weight_ih": (rows, input_size), "bias_ih": (rows,)}

    def inputs(self, x: Tensor, weights: Weights) -> Tensor:
        """q, k, v and β of all steps of the input (…, T, B, F), (…, T, B, 3 H + heads)."""
        return torch.cat([it.flatten(-2) for it in self.of_heads(x, weights)], dim=-1)

    def of_heads(self, x: Tensor, weights: Weights) -> tuple[Tensor, ...]:
        """q, k and v (…, T, B, heads, H/heads) and β (…, T, B, heads, 1) of the input (…, T, B, F)."""
        planes = super().inputs(x, weights).to(weights["weight_ih"].dtype)
        heads = self.settings["heads"]
        size = (planes.shape[-1] - heads) // 3
        q, k, v, beta = (it.unflatten(-1, (heads, -1)) for it in planes.split([size, size, size, heads], dim=-1))
        q, k = (F.normalize(F.silu(it), dim=-1) for it in (q, k))
        return q, k, v, self.settings["max_beta"] * beta.sigmoid()

    def step(self, inputs: Tensor, state: State, weights: Weights) -> State:
        _, s = state
        heads, units = s.shape[-3:-1]
        *qkv, beta = inputs.split([heads * units] * 3 + [heads], dim=-1)
        q, k, v = (it.unflatten(-1, (heads, units)) for it in qkv)
        # Sums of products, and not products of matrices: autocast leaves the state in full precision.
        change = beta.unsqueeze(-1) * (v - (s * k.unsqueeze(-2)).sum(dim=-1))
        s = s + change.unsqueeze(-1) * k.unsqueeze(-2)
        return (s * q.unsqueeze(-2)).sum(dim=-1).flatten(-2), s

    def zero_state(self, inputs: Tensor, hidden_size: int) -> State:
        heads, units = self.settings["heads"], hidden_size // self.settings["heads"]
        before = inputs.shape[:-1]
        return inputs.new_zeros(*before, hidden_size), inputs.new_zeros(*before, heads, units, units)
