"""What many small kernels compute, as one CUDA graph."""

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import torch
from torch import Tensor

from recurrent_cells.errors import TrialError, first_line

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

    Raises:
        TrialError: if the GPU computes nothing any more after a record that failed.
    """
    static = [tensor.clone() for tensor in inputs]
    graph, pool, side = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle(), torch.cuda.Stream()
    try:
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # left whatever happens: torch 2.11 stays in a stream whose recording failed
            for _ in range(WARM_UPS):  # as torch asks for: what is initialised late must not be recorded
                wanted = [tensor.clone() for tensor in compute(*static)]
            with _without_collection(), torch.cuda.graph(graph, pool, side):
                outputs = compute(*static)
        torch.cuda.current_stream().wait_stream(side)
        graph.replay()
        if not _alike(outputs, wanted):
            raise RuntimeError("what was recorded does something else")
    except RuntimeError as error:
        reason = first_line(error)
        _end_recording(pool, reason)
        if isinstance(error, torch.OutOfMemoryError):
            raise
        log.warning("steps are launched kernel by kernel: no CUDA graph (%s)", reason)
        return None

    def replay(*given: Tensor) -> tuple[Tensor, ...]:
        for place, value in zip(static, given, strict=True):
            place.copy_(value)
        graph.replay()
        return outputs

    return replay


@contextmanager
def _without_collection() -> Iterator[None]:
    """Collect now and not within: a graph that is destroyed while another is recorded spoils the record."""
    gc.collect()
    is_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_enabled:
            gc.enable()


def _end_recording(pool: tuple[int, int], reason: str) -> None:
    """End what torch 2.11 leaves under way when a recording fails: memory and random numbers for the graph alone."""
    device = torch.cuda.current_device()
    generator = torch.cuda.default_generators[device]
    try:
        with suppress(RuntimeError):  # it is not under way: torch has ended it
            torch._C._cuda_endAllocateToPool(device, pool)
            torch._C._cuda_releasePool(device, pool)
            generator.graphsafe_set_state(generator.clone_state())  # a state that no graph has
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
    except RuntimeError as error:
        raise TrialError(
            f"the GPU computes nothing any more ({first_line(error)}) after a step could not be recorded "
            f"({reason}); trainer.cuda_graph=false does without"
        ) from error


def _alike(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> bool:
    """Whether each is near the other as a whole: single numbers near 0 may differ by rounding alone."""
    return all(
        torch.equal(one, other) or bool((one.double() - other.double()).norm() <= TOLERANCE * other.double().norm())
        for one, other in zip(found, wanted, strict=True)
    )
