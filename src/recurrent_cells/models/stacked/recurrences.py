"""Cells over the steps of one layer for K networks at once, forward and backward; the equations are torch.nn's.

Shapes: K networks, T steps, B sequences, H hidden units. Gates lie beside one another in the last dimension in
torch's order: what the inputs give to them is (K, T, B, G·H), recurrent weights are (K, G·H, H), outputs (K, T, B, H).
`times(a, b)` is the batched product of (K, M, N) and (K, N, P).
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor, nn

Product = Callable[[Tensor, Tensor], Tensor]


class Recurrence(Protocol):
    """One pass over a layer in one direction; what `backward` needs is kept by `forward`."""

    def __init__(self, weight: Tensor, bias: Tensor, reverse: bool, times: Product) -> None: ...

    def forward(self, gates: Tensor) -> Tensor:
        """Outputs, from what the inputs give to the gates, which is overwritten."""

    def backward(self, d_outputs: Tensor | None, d_h: Tensor) -> tuple[Tensor, Tensor]:
        """From the gradients of the outputs and of the last state, those of the inputs' part and of W h.

        Both are (K, T, B, G·H); can be called once, as what `forward` kept is overwritten.
        """


class SimpleRNN:
    """h = tanh(x + W h + b)."""

    def __init__(self, weight: Tensor, bias: Tensor, reverse: bool, times: Product) -> None:
        self._weight, self._bias, self._reverse, self._times = weight, bias.unsqueeze(1), reverse, times

    def forward(self, gates: Tensor) -> Tensor:
        self._h = h = gates
        for t, before in steps(h.shape[1], self._reverse):
            now = h[:, t]
            now += self._bias
            if before is not None:
                now += self._times(h[:, before], self._weight.mT)
            now.tanh_()
        return h

    def backward(self, d_outputs: Tensor | None, d_h: Tensor) -> tuple[Tensor, Tensor]:
        gradient = 1 - self._h * self._h
        for t, after in steps(gradient.shape[1], not self._reverse):
            if after is not None:
                d_h = self._times(gradient[:, after], self._weight)
            if d_outputs is not None:
                d_h = d_h + d_outputs[:, t]
            gradient[:, t] *= d_h
        return gradient, gradient


class LSTM:
    """i, f, o = sigmoid(x + W h + b); g = tanh(x + W h + b); c' = f c + i g; h' = o tanh(c')."""

    def __init__(self, weight: Tensor, bias: Tensor, reverse: bool, times: Product) -> None:
        self._weight, self._bias, self._reverse, self._times = weight, bias.unsqueeze(1), reverse, times

    def forward(self, gates: Tensor) -> Tensor:
        count, hidden_size = gates.shape[1], self._weight.shape[2]
        h = gates.new_empty(*gates.shape[:3], hidden_size)
        self._gates, self._c, self._tanh_c = gates, torch.empty_like(h), torch.empty_like(h)
        for t, before in steps(count, self._reverse):
            now = gates[:, t]
            now += self._bias
            if before is not None:
                now += self._times(h[:, before], self._weight.mT)
            i, f, g, o = now.chunk(4, dim=-1)
            now[..., : 2 * hidden_size].sigmoid_()
            g.tanh_()
            o.sigmoid_()
            c = torch.mul(i, g, out=self._c[:, t])
            if before is not None:
                c.addcmul_(f, self._c[:, before])
            torch.mul(o, torch.tanh(c, out=self._tanh_c[:, t]), out=h[:, t])
        return h

    def backward(self, d_outputs: Tensor | None, d_h: Tensor) -> tuple[Tensor, Tensor]:
        after, d_c_after = None, None
        for t, before in reversed(list(steps(self._c.shape[1], self._reverse))):
            now, tanh_c = self._gates[:, t], self._tanh_c[:, t]
            if after is not None:
                d_h = self._times(self._gates[:, after], self._weight)
            if d_outputs is not None:
                d_h = d_h + d_outputs[:, t]
            i, f, g, o = now.chunk(4, dim=-1)
            d_c = d_h * o * (1 - tanh_c * tanh_c)
            if d_c_after is not None:
                d_c += d_c_after
            d_c_after = d_c * f
            d_i = d_c * g * i * (1 - i)
            g.copy_(d_c * i * (1 - g * g))
            if before is None:
                f.zero_()
            else:
                f.copy_(d_c * self._c[:, before] * f * (1 - f))
            i.copy_(d_i)
            o.copy_(d_h * tanh_c * o * (1 - o))
            after = t
        return self._gates, self._gates


class GRU:
    """r, z = sigmoid(x + W h + b); n = tanh(x + r (W h + b)); h' = n + z (h - n)."""

    def __init__(self, weight: Tensor, bias: Tensor, reverse: bool, times: Product) -> None:
        self._weight, self._bias, self._reverse, self._times = weight, bias.unsqueeze(1), reverse, times

    def forward(self, gates: Tensor) -> Tensor:
        count, hidden_size = gates.shape[1], self._weight.shape[2]
        h = gates.new_empty(*gates.shape[:3], hidden_size)
        self._gates, self._h, self._recurrent = gates, h, torch.empty_like(h)  # the last is W h + b of the gate n
        for t, before in steps(count, self._reverse):
            now, recurrent = gates[:, t], self._bias.expand(-1, gates.shape[2], -1)
            if before is not None:
                recurrent = self._times(h[:, before], self._weight.mT) + self._bias
            rz, n = now.split((2 * hidden_size, hidden_size), dim=-1)
            rz += recurrent[..., : 2 * hidden_size]
            r, z = rz.sigmoid_().chunk(2, dim=-1)
            self._recurrent[:, t] = recurrent[..., 2 * hidden_size :]
            n.addcmul_(r, self._recurrent[:, t]).tanh_()
            torch.mul(n, 1 - z, out=h[:, t])
            if before is not None:
                h[:, t].addcmul_(z, h[:, before])
        return h

    def backward(self, d_outputs: Tensor | None, d_h: Tensor) -> tuple[Tensor, Tensor]:
        d_products = torch.empty_like(self._gates)
        after, through_z = None, torch.zeros_like(d_h)
        for t, before in reversed(list(steps(self._h.shape[1], self._reverse))):
            now = self._gates[:, t]
            if after is not None:
                d_h = through_z + self._times(d_products[:, after], self._weight)
            if d_outputs is not None:
                d_h = d_h + d_outputs[:, t]
            r, z, n = now.chunk(3, dim=-1)
            h_before = torch.zeros_like(n) if before is None else self._h[:, before]
            through_z = d_h * z
            d_n = d_h * (1 - z) * (1 - n * n)
            d_z = through_z * (1 - z) * (h_before - n)
            d_r = d_n * self._recurrent[:, t] * r * (1 - r)
            d_products[:, t] = torch.cat([d_r, d_z, d_n * r], dim=-1)
            torch.cat([d_r, d_z, d_n], dim=-1, out=now)
            after = t
        return self._gates, d_products


RECURRENCES: dict[type[nn.RNNBase], type[Recurrence]] = {nn.RNN: SimpleRNN, nn.LSTM: LSTM, nn.GRU: GRU}


def steps(count: int, reverse: bool) -> Iterator[tuple[int, int | None]]:
    """Every step with the one taken before it."""
    before = None
    for t in reversed(range(count)) if reverse else range(count):
        yield t, before
        before = t
