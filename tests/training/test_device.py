"""Threads and precision of a process."""

import numpy as np
import torch
from threadpoolctl import threadpool_info

from recurrent_cells.training.device import flush_denormals, use_tf32, use_threads


def test_threads_are_those_of_torch_and_of_numpy():
    before = torch.get_num_threads()
    try:
        for count in (2, 1):
            use_threads(count)
            assert torch.get_num_threads() == count
            assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {count}
    finally:
        use_threads(before)


def test_tf32_is_off_unless_asked_for():
    for allowed in (True, False):
        use_tf32(allowed)
        assert torch.backends.cuda.matmul.allow_tf32 is allowed
        assert torch.backends.cudnn.allow_tf32 is allowed


def test_denormals_are_numbers_or_0():
    smallest = torch.full((4,), 2.0**-126)
    try:
        for wanted in (True, False):
            flush_denormals(wanted)
            assert bool(((smallest / 2) * 2 == 0).all()) is wanted
            assert bool((np.float32(0.5) * smallest.numpy() * 2 == 0).all()) is wanted
    finally:
        flush_denormals(False)
