"""Threads, precision and GPUs of a process."""

import shutil
import subprocess

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from recurrent_cells.training.device import flush_denormals, num_gpus, use_tf32, use_threads

DRIVER = """
int cuInit(unsigned int flags) { return 0; }
int cuDeviceGetCount(int *count) { *count = 3; return 0; }
"""


@pytest.fixture
def asleep(monkeypatch):
    """torch may not ask CUDA for its devices in this process; `asleep(n)` has NVML count n, -1 where there is none."""

    def woken():
        raise AssertionError("CUDA was woken before a fork")

    def counted(by_nvml):
        monkeypatch.setattr(torch.cuda, "_device_count_nvml", lambda: by_nvml)

    num_gpus.cache_clear()
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch._C, "_cuda_getDeviceCount", woken, raising=False)
    yield counted
    num_gpus.cache_clear()


def test_gpus_are_counted_by_nvml(asleep):
    asleep(2)
    assert num_gpus() == 2


def test_without_nvml_and_driver_there_is_no_gpu(asleep, monkeypatch, tmp_path):
    (tmp_path / "libcuda.so.1").write_text("no library")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    asleep(-1)
    assert num_gpus() == 0


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler for a driver that says three")
def test_gpus_without_nvml_are_counted_by_another_process(asleep, monkeypatch, tmp_path):
    (tmp_path / "driver.c").write_text(DRIVER)
    command = ["cc", "-shared", "-fPIC", "-o", tmp_path / "libcuda.so.1", tmp_path / "driver.c"]
    subprocess.run(command, check=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    asleep(-1)
    assert num_gpus() == 3


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
