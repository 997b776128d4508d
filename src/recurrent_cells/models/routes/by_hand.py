"""The steps that a cell has written by hand, over time, on arrays of NumPy or torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from recurrent_cells.models.cells import Steps


@dataclass
class Pass:
    """A layer in one direction, forward and then backward.

    `planes` (A + G, …, B, H) and `saved` (…, B, H) of each step are as the cell has them, in the order in which
    steps are taken. Products with recurrent weights are the route's, in the order of the first G planes.
    """

    steps: type[Steps]
    arrays: Any
    planes: Sequence[Any]
    saved: Sequence[tuple[Any, ...]]

    def forward(self, add_products: Callable[[Any, Any], None]) -> None:
        """Fill `saved`; what the inputs give in `planes` becomes activations.

        `add_products(planes, h)` has the first G planes of a step take in the recurrent products and their biases, h
        (…, B, H) being the state before; None is zero.
        """
        before = None
        for planes, saved in zip(self.planes, self.saved, strict=True):
            add_products(planes, None if before is None else before[0])
            before = before or tuple(map(self.arrays.zeros, saved))
            self.steps.forward(self.arrays, planes, before, saved)
            before = saved

    def backward(self, d_outputs: Sequence[Any] | None, d_h: Any, products: Callable[[Any, Any], Any]) -> None:
        """Activations in `planes` become gradients of what was there before them.

        `d_h` (…, B, H) of the last state is overwritten. `products(planes, d_h)` is d_h, or None for zero, and what
        goes back through the recurrent weights.
        """
        steps, arrays = self.steps, self.arrays
        before = [tuple(map(arrays.zeros, self.saved[0])), *self.saved[:-1]]
        taken = zip(self.planes, self.saved, before, d_outputs or [None] * len(before), strict=True)
        d_c, after = None, None
        for planes, saved, saved_before, d_output in reversed(list(taken)):
            if after is not None:
                d_h = products(after, d_h)
            if d_output is not None:
                d_h += d_output
            d_h, d_c = steps.backward(arrays, planes, saved_before, saved, d_h, d_c)
            after = planes
