"""Cells over the steps of one layer, forward and backward, in NumPy; the equations are those of torch.nn.

Shapes: T steps, B sequences, H hidden units, G gates. What a step's input gives to the gates is (G, T, B, H),
recurrent weights are (G, H, H), outputs (T, B, H). A sigmoid is (1 + tanh(x / 2)) / 2, as NumPy's tanh is the fast
one: the parts that are `halved` come with the rows of sigmoid gates divided by 2, which is exact.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


class Recurrence(Protocol):
    """One pass over a layer in one direction; what `backward` needs is kept by `forward`."""

    num_gates: int
    # gates that end in a sigmoid
    sigmoids: slice
    # gates to which the recurrent bias is added as that of the input is
    joint_bias: slice

    def __init__(self, weight: Array, bias: Array, reverse: bool) -> None: ...

    def forward(self, inputs: Array, weight: Array) -> Array:
        """Outputs, from `inputs` and `weight` halved; `inputs` are overwritten."""

    def backward(self, d_outputs: Array | None, d_h: Array) -> tuple[Array, list[Array]]:
        """From the gradients of the outputs and of the last state, those of the inputs and each gate's product W h.

        Can be called once: what `forward` kept is overwritten, and so is `d_h` (B, H).
        """


class SimpleRNN:
    """h = tanh(x + W h)."""

    num_gates, sigmoids, joint_bias = 1, slice(0, 0), slice(0, 1)

    def __init__(self, weight: Array, bias: Array, reverse: bool) -> None:
        self._weight, self._reverse = weight, reverse

    def forward(self, inputs: Array, weight: Array) -> Array:
        (h,), (transposed,) = inputs, weight.transpose(0, 2, 1)
        product = np.empty_like(h[0])
        before: Array | None = None
        for _, now in _in_order(h, self._reverse):
            if before is not None:
                np.matmul(before, transposed, out=product)
                np.add(now, product, out=now)
            np.tanh(now, out=now)
            before = now
        self._h = h
        return h

    def backward(self, d_outputs: Array | None, d_h: Array) -> tuple[Array, list[Array]]:
        (weight,) = self._weight
        slopes = _slope_of_tanh(self._h, np.empty_like(self._h))
        after: Array | None = None
        for t, now in _in_order(slopes, not self._reverse):
            if after is not None:
                np.matmul(after, weight, out=d_h)
            if d_outputs is not None:
                np.add(d_h, d_outputs[t], out=d_h)
            np.multiply(now, d_h, out=now)
            after = now
        return slopes[None], [slopes]


class GRU:
    """r, z = sigmoid(x + W h); n = tanh(x + r (W h + b)); h' = n + z (h - n)."""

    num_gates, sigmoids, joint_bias = 3, slice(0, 2), slice(0, 2)

    def __init__(self, weight: Array, bias: Array, reverse: bool) -> None:
        self._weight, self._bias, self._reverse = weight, bias[2], reverse

    def forward(self, inputs: Array, weight: Array) -> Array:
        gates, transposed = inputs, weight.transpose(0, 2, 1)
        h = np.empty(gates.shape[1:], gates.dtype)
        recurrent = np.empty_like(h)  # W h + b of the gate n
        products, part = np.empty_like(gates[:, 0]), np.empty_like(h[0])
        before: Array | None = None
        for t, now in _in_order(h, self._reverse):
            rz, r, z, n = gates[:2, t], *gates[:, t]
            if before is None:
                recurrent[t] = self._bias
            else:
                np.matmul(before, transposed, out=products)
                rz += products[:2]
                np.add(products[2], self._bias, out=recurrent[t])
            np.tanh(rz, out=rz)
            rz *= 0.5
            rz += 0.5
            n += np.multiply(r, recurrent[t], out=part)
            np.tanh(n, out=n)
            np.subtract(0 if before is None else before, n, out=part)
            part *= z
            np.add(n, part, out=now)
            before = now
        self._gates, self._recurrent, self._h = gates, recurrent, h
        return h

    def backward(self, d_outputs: Array | None, d_h: Array) -> tuple[Array, list[Array]]:
        gates, recurrent, h = self._gates, self._recurrent, self._h  # gradients take the places of what they come from
        products, part, d_n = np.empty_like(gates[:, 0]), np.empty_like(d_h), np.empty_like(d_h)
        order = [t for t, _ in _in_order(h, not self._reverse)]
        after: int | None = None
        for t, before in zip(order, [*order[1:], None], strict=True):
            if after is not None:
                np.matmul(gates[:2, after], self._weight[:2], out=products[:2])
                np.matmul(recurrent[after], self._weight[2], out=products[2])
                for product in products:
                    d_h += product
            if d_outputs is not None:
                d_h += d_outputs[t]
            r, z, n = gates[:, t]
            np.subtract(1, z, out=part)
            np.multiply(d_h, part, out=d_n)
            part *= z
            part *= d_h
            d_h *= z  # what goes to the state before past the gates
            np.subtract(0 if before is None else h[before], n, out=z)
            z *= part
            np.multiply(d_n, _slope_of_tanh(n, part), out=n)
            np.multiply(n, recurrent[t], out=d_n)
            np.multiply(n, r, out=recurrent[t])
            np.subtract(1, r, out=part)
            r *= part
            r *= d_n
            after = t
        return gates, [gates[0], gates[1], recurrent]


def _in_order(steps: Array, reverse: bool) -> Iterator[tuple[int, Array]]:
    """Each step's number with its part of (T, …), from the last one if `reverse`."""
    numbered = list(enumerate(steps))
    return reversed(numbered) if reverse else iter(numbered)


def _slope_of_tanh(value: Array, out: Array) -> Array:
    np.multiply(value, value, out=out)
    return np.subtract(1, out, out=out)
