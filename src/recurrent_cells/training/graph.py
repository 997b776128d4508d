"""A step of many small kernels as one CUDA graph."""

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

log = logging.getLogger(__name__)

Step = Callable[..., tuple[Tensor, ...]]
WARM_UPS = 3
# How far a graph's results may be from those of the kernels, as a part of them; wrong ones are much further away.
TOLERANCE = 0.05


def graphed(step: Step, inputs: Sequence[Tensor], changed: Sequence[Tensor]) -> Step:
    """`step` recorded once and launched as a whole from then on; itself if what was recorded does not do the same.

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
            told = [it.clone() for it in step(*static)]
            become = [it.clone() for it in changed]
            for _ in range(WARM_UPS - 1):
                step(*static)
        torch.cuda.current_stream().wait_stream(side)
        with torch.cuda.graph(graph):
            outputs = step(*static)
        _put_back(changed, before)
        graph.replay()
        if not (_alike(outputs, told) and _alike(_minus(changed, before), _minus(become, before))):
            raise RuntimeError("what was recorded does something else")
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        log.warning("steps are launched kernel by kernel: no CUDA graph (%s)", str(error).splitlines()[0])
        return step
    finally:
        _put_back(changed, before)

    def replay(*given: Tensor) -> tuple[Tensor, ...]:
        for place, value in zip(static, given, strict=True):
            place.copy_(value)
        graph.replay()
        return tuple(it.clone() for it in outputs)

    return replay


@torch.no_grad()
def _put_back(changed: Sequence[Tensor], before: Sequence[Tensor]) -> None:
    for tensor, value in zip(changed, before, strict=True):
        tensor.copy_(value)


@torch.no_grad()
def _minus(now: Sequence[Tensor], before: Sequence[Tensor]) -> list[Tensor]:
    return [one - other for one, other in zip(now, before, strict=True)]


def _alike(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> bool:
    """Whether each is near the other as a whole: rounding may turn the step of a weight around whose gradient is 0."""
    return all(
        torch.equal(one, other) or bool((one.double() - other.double()).norm() <= TOLERANCE * other.double().norm())
        for one, other in zip(found, wanted, strict=True)
    )
