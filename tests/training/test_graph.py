"""What surrounds a recording, with a stand-in for CUDA's graphs; the real ones are tested on a GPU."""

import logging
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from recurrent_cells.training.graph import graphed


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


@pytest.fixture
def cuda(monkeypatch):
    stream = SimpleNamespace(wait_stream=lambda other: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "graph", lambda graph: nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Recorded)


def compute(x):
    """As it is to be recorded: the stand-in hears of every call."""
    outputs = plain(x)
    Recorded.latest.calls.append((plain, [x], outputs))
    return outputs


def plain(x):
    return x.norm(), 2 * x


def test_a_replay_computes_from_what_it_is_given(cuda):
    replay = graphed(compute, [torch.full((3,), 2.0)])
    for x in (torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, -1.0, 4.0])):
        torch.testing.assert_close(replay(x), plain(x))


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


def test_too_little_memory_is_told(cuda):
    def greedy(x):
        raise torch.OutOfMemoryError("no room")

    with pytest.raises(torch.OutOfMemoryError):
        graphed(greedy, [torch.ones(3)])
