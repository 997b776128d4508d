"""What many small kernels compute, as one CUDA graph."""

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

log = logging.getLogger(__name__)

Compute = Callable[..., tuple[Tensor, ...]]
WARM_UPS = 3
# How far a graph's results may be from those of the kernels, as a part of them; wrong ones are much further away.
TOLERANCE = 0.05


def graphed(compute: Compute, inputs: Sequence[Tensor]) -> Compute | None:
    """`compute` recorded, to be launched as a whole; None if it cannot be, or if the record computes something else.

    What the record gives lies in the same memory at each call.

    Args:
        compute: takes tensors on the GPU to others, of fixed shapes, changing and drawing nothing.
        inputs: some of their shapes and types.
    """
    static = [tensor.clone() for tensor in inputs]
    graph = torch.cuda.CUDAGraph()
    try:
        # As torch asks for: what is initialised late must not be recorded.
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                wanted = [tensor.clone() for tensor in compute(*static)]
        torch.cuda.current_stream().wait_stream(side)
        with torch.cuda.graph(graph):
            outputs = compute(*static)
        graph.replay()
        if not _alike(outputs, wanted):
            raise RuntimeError("what was recorded does something else")
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        log.warning("steps are launched kernel by kernel: no CUDA graph (%s)", str(error).splitlines()[0])
        return None

    def replay(*given: Tensor) -> tuple[Tensor, ...]:
        for place, value in zip(static, given, strict=True):
            place.copy_(value)
        graph.replay()
        return outputs

    return replay


def _alike(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> bool:
    """Whether each is near the other as a whole: single numbers near 0 may differ by rounding alone."""
    return all(
        torch.equal(one, other) or bool((one.double() - other.double()).norm() <= TOLERANCE * other.double().norm())
        for one, other in zip(found, wanted, strict=True)
    )
