"""A step of many small kernels as one CUDA graph."""

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

log = logging.getLogger(__name__)

Step = Callable[..., tuple[Tensor, ...]]
WARM_UPS = 3


def graphed(step: Step, inputs: Sequence[Tensor], changed: Sequence[Tensor]) -> Step:
    """`step` recorded once and launched as a whole from then on; itself if it cannot be recorded.

    Args:
        step: takes tensors on the GPU to others; of fixed shapes, drawing nothing.
        inputs: some of their shapes and types.
        changed: what a step changes in place, and a rehearsal must not.
    """
    static, before = [it.clone() for it in inputs], [it.clone() for it in changed]
    graph = torch.cuda.CUDAGraph()
    try:
        # As torch asks for: what is initialised late must not be recorded.
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                step(*static)
        torch.cuda.current_stream().wait_stream(side)
        with torch.cuda.graph(graph):
            outputs = step(*static)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        log.warning("steps are launched kernel by kernel: no CUDA graph (%s)", str(error).splitlines()[0])
        return step
    finally:
        for tensor, value in zip(changed, before, strict=True):
            tensor.copy_(value)

    def replay(*given: Tensor) -> tuple[Tensor, ...]:
        for place, value in zip(static, given, strict=True):
            place.copy_(value)
        graph.replay()
        return tuple(it.clone() for it in outputs)

    return replay
