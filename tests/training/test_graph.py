"""What surrounds a recording, with a stand-in for CUDA's graphs; the real ones are tested on a GPU."""

import logging
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from recurrent_cells.training.graph import graphed


class Recorded:
    """Runs again what was recorded, into the same outputs."""

    latest: "Recorded"

    def __init__(self):
        self.calls = []
        Recorded.latest = self

    def replay(self):
        step, arguments, outputs = self.calls[-1]
        for place, value in zip(outputs, step(*arguments), strict=True):
            place.copy_(value)


@pytest.fixture
def cuda(monkeypatch):
    stream = SimpleNamespace(wait_stream=lambda other: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "graph", lambda graph: nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Recorded)


def momentum(weight, memory):
    """A step that changes both and tells the size of what it was given; as it is, and as it is to be recorded."""

    def plain(gradient):
        memory.mul_(0.9).add_(gradient)
        weight.sub_(0.1 * memory)
        return (gradient.norm(), weight.sum())

    def recorded(gradient):
        outputs = plain(gradient)
        Recorded.latest.calls.append((plain, [gradient], outputs))
        return outputs

    return plain, recorded


def test_rehearsals_leave_no_trace_and_replays_are_steps(cuda):
    weight, memory, wanted, wanted_memory = torch.ones(3), torch.ones(3), torch.ones(3), torch.ones(3)
    plain, _ = momentum(wanted, wanted_memory)
    _, step = momentum(weight, memory)
    replay = graphed(step, [torch.full((3,), 2.0)], [weight, memory])
    assert torch.equal(weight, torch.ones(3))
    assert torch.equal(memory, torch.ones(3))
    told = []
    for gradient in (torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, -1.0, 4.0])):
        told.append(replay(gradient))
        torch.testing.assert_close(told[-1], plain(gradient))
    torch.testing.assert_close((weight, memory), (wanted, wanted_memory))
    assert told[0][0] == torch.tensor([1.0, 2.0, 3.0]).norm()  # no later step overwrites it


def test_what_was_not_to_be_changed_but_was_is_noticed(cuda, caplog):
    weight, memory = torch.ones(3), torch.ones(3)
    _, step = momentum(weight, memory)
    with caplog.at_level(logging.WARNING):
        assert graphed(step, [torch.full((3,), 2.0)], [weight]) is step
    assert "does something else" in caplog.text


@pytest.mark.parametrize("fault", ["does nothing", "sees other inputs", "refused"])
def test_what_does_not_do_the_same_is_not_used(cuda, monkeypatch, caplog, fault):
    weight, memory = torch.ones(3), torch.ones(3)
    _, step = momentum(weight, memory)

    def wrong(graph):
        if fault == "refused":
            raise RuntimeError("operation not permitted when stream is capturing\nand more")
        if fault == "sees other inputs":
            again, _, outputs = graph.calls[-1]
            for place, value in zip(outputs, again(torch.full((3,), -7.0)), strict=True):
                place.copy_(value)

    monkeypatch.setattr(Recorded, "replay", wrong)
    with caplog.at_level(logging.WARNING):
        assert graphed(step, [torch.ones(3)], [weight, memory]) is step
    reason = "operation not permitted when stream is capturing" if fault == "refused" else "does something else"
    assert "no CUDA graph" in caplog.text
    assert reason in caplog.text
    assert torch.equal(weight, torch.ones(3))
    assert torch.equal(memory, torch.ones(3))


def test_too_little_memory_is_told(cuda):
    def greedy(gradient):
        raise torch.OutOfMemoryError("no room")

    with pytest.raises(torch.OutOfMemoryError):
        graphed(greedy, [torch.ones(3)], [])
