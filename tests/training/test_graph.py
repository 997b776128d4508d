"""What surrounds a recording, with a stand-in for CUDA's graphs; the real ones are tested on a GPU."""

import logging
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch

from recurrent_cells.errors import TrialError
from recurrent_cells.training.graph import graphed

POOL = (0, 1)


class Recorded:
    """Computes again what was recorded, into the same outputs."""

    latest: "Recorded"

    def __init__(self):
        self.calls = []
        Recorded.latest = self

    def replay(self):
        compute, arguments, outputs = self.calls[-1]
        for place, value in zip(outputs, compute(*arguments), strict=True):
            place.copy_(value)


class Cuda:
    """The stream that work goes to, and the recordings under way in allocator and generator, as in torch 2.11."""

    def __init__(self):
        self.main = self.current = SimpleNamespace(wait_stream=lambda other: None)
        self.under_way, self.held, self.generator = set(), set(), "own"
        self.broken = False

    @contextmanager
    def stream(self, stream):
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def graph(self, graph, pool, stream):
        before, self.current = self.current, stream
        self.under_way.add(pool)
        self.held.add(pool)
        self.generator = "recording"
        yield  # an exception within ends nothing
        self.current = before
        self.under_way.discard(pool)
        self.generator = "own"

    def end_allocate(self, device, pool):
        if pool not in self.under_way:
            raise RuntimeError("not currently recording to mempool_id")
        self.under_way.discard(pool)

    def empty_cache(self):
        if self.under_way or self.broken:
            raise RuntimeError("INTERNAL ASSERT FAILED")


@pytest.fixture
def cuda(monkeypatch):
    stand_in = Cuda()
    stream = SimpleNamespace(wait_stream=lambda other: None)
    default = SimpleNamespace(
        clone_state=lambda: "own", graphsafe_set_state=lambda state: setattr(stand_in, "generator", state)
    )
    for name, value in {
        "CUDAGraph": Recorded,
        "Stream": lambda: stream,
        "current_stream": lambda: stand_in.current,
        "stream": stand_in.stream,
        "graph": stand_in.graph,
        "graph_pool_handle": lambda: POOL,
        "current_device": lambda: 0,
        "default_generators": (default,),
        "synchronize": lambda: None,
        "empty_cache": stand_in.empty_cache,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", stand_in.end_allocate, raising=False)
    release = lambda device, pool: stand_in.held.discard(pool)  # noqa: E731
    monkeypatch.setattr(torch._C, "_cuda_releasePool", release, raising=False)
    return stand_in


def compute(x):
    """As it is to be recorded: the stand-in hears of every call."""
    outputs = plain(x)
    Recorded.latest.calls.append((plain, [x], outputs))
    return outputs


def plain(x):
    return x.norm(), 2 * x


def unrecordable(cuda, error):
    """Something that kernels compute and a recording refuses."""

    def refused(x):
        if cuda.under_way:
            raise error
        return plain(x)

    return refused


def test_a_replay_computes_from_what_it_is_given(cuda):
    replay = graphed(compute, [torch.full((3,), 2.0)])
    for x in (torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, -1.0, 4.0])):
        torch.testing.assert_close(replay(x), plain(x))
    assert cuda.held == {POOL}


@pytest.mark.parametrize("fault", ["does nothing", "sees other inputs", "refused"])
def test_a_record_that_computes_something_else_is_not_used(cuda, monkeypatch, caplog, fault):
    def wrong(graph):
        again, _, outputs = graph.calls[-1]
        if fault == "refused":
            raise RuntimeError("operation not permitted when stream is capturing\nand more")
        for place, value in zip(outputs, again(torch.full((3,), -7.0)), strict=True):
            place.copy_(value if fault == "sees other inputs" else torch.zeros_like(value))

    monkeypatch.setattr(Recorded, "replay", wrong)
    with caplog.at_level(logging.WARNING):
        assert graphed(compute, [torch.ones(3)]) is None
    reason = "operation not permitted when stream is capturing" if fault == "refused" else "does something else"
    assert "no CUDA graph" in caplog.text
    assert reason in caplog.text
    assert cuda.held == {POOL}  # the graph itself gives it back


@pytest.mark.parametrize(
    "error", [RuntimeError("operation not permitted"), torch.OutOfMemoryError("no room")], ids=["refused", "memory"]
)
def test_a_recording_that_fails_leaves_nothing_under_way(cuda, error):
    expected = pytest.raises(torch.OutOfMemoryError) if isinstance(error, torch.OutOfMemoryError) else nullcontext()
    with expected:
        assert graphed(unrecordable(cuda, error), [torch.ones(3)]) is None
    assert cuda.current is cuda.main
    assert not cuda.under_way
    assert not cuda.held
    assert cuda.generator == "own"


def test_a_gpu_that_a_failed_recording_breaks_ends_the_trial(cuda):
    cuda.broken = True
    with pytest.raises(TrialError, match=r"INTERNAL ASSERT FAILED.*operation not permitted.*trainer\.cuda_graph=false"):
        graphed(unrecordable(cuda, RuntimeError("operation not permitted")), [torch.ones(3)])


def test_too_little_memory_is_told(cuda):
    def greedy(x):
        raise torch.OutOfMemoryError("no room")

    with pytest.raises(torch.OutOfMemoryError):
        graphed(greedy, [torch.ones(3)])
