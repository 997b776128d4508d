"""Contenders of benchmarks as processes."""

import numpy as np
import pytest
import torch

from benchmarks.contenders import Network
from benchmarks.contenders.process import Contender, take_turns, together

pytestmark = pytest.mark.slow  # processes that import torch
SMALL = Network("simple_rnn", 4, 8)


@pytest.fixture
def data(tmp_path):
    random = np.random.default_rng(0)
    x, y = random.random((32, 5, 6), dtype=np.float32), random.integers(0, 10, 32)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    return tmp_path / "data.npz"


def test_they_take_turns_and_further_networks(data):
    with together(["bare", "bare:own"], SMALL, data) as contenders:
        for network in (SMALL, Network("gru", 4, 8, precision="bf16-mixed")):
            for contender in contenders.values():
                contender.take(network)
            found = take_turns({name: (it, 3) for name, it in contenders.items()}, repeats=2)
            assert list(found) == ["bare", "bare:own"]
            assert all(seconds > 0 for rounds in found.values() for seconds in rounds)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_one_that_dies_says_why_and_takes_the_next_network_in_a_new_process(data):
    contender = Contender("bare:graph", SMALL, data, core=None)
    with pytest.raises(RuntimeError, match=r"bare:graph: .*a CUDA graph needs a GPU"):
        contender.train(3)
    contender.take(SMALL)
    assert contender.process.poll() is None
    contender.end()


def test_an_earlier_version_is_told_what_it_may_know():
    assert SMALL.told() == {"cell": "simple_rnn", "hidden_size": 4, "batch_size": 8}
    assert Network("gru", 4, 8, tf32=True).told()["tf32"] is True
