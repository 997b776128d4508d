"""The device and precision of a trial."""

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache

import torch
from threadpoolctl import threadpool_limits

from recurrent_cells.config.schema import Config, TrainerConfig
from recurrent_cells.data.splits import Splits
from recurrent_cells.errors import UserError
from recurrent_cells.models.precision import product_dtype

# cuBLAS is deterministic only with a workspace of fixed size, set before its first use.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
# Ask for GPUs through NVML: the usual way initialises CUDA, and a process that has done so must not fork.
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")


def use_threads(count: int) -> None:
    """Compute with so many threads from now on, in torch and in NumPy's linear algebra."""
    torch.set_num_threads(count)
    threadpool_limits(count, user_api="blas")


def flush_denormals(wanted: bool) -> None:
    """Whether this thread takes numbers below 1.2e-38 for 0.

    Gradients shrink to such numbers on their way through many steps, and a CPU is ten times slower with them.
    """
    torch.set_flush_denormal(wanted)


def use_tf32(allowed: bool) -> None:
    """Whether products of float32 on a GPU may drop 13 bits of mantissa; torch allows it in cuDNN by default."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def use_determinism(wanted: bool) -> None:
    """Whether the same draws give the same bits; without filling new memory, or all of it is written twice."""
    torch.use_deterministic_algorithms(wanted)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Device:
    """`accelerator` (cpu or gpu) and `precision` in Lightning's words, `name` of the hardware."""

    accelerator: str
    precision: str
    name: str

    @property
    def kind(self) -> str:
        """In torch's words."""
        return "cuda" if self.accelerator == "gpu" else "cpu"

    @property
    def dtype(self) -> torch.dtype:
        """Of weights and data."""
        return torch.float64 if self.precision == "64-true" else torch.float32

    def hold(self, splits: Splits) -> Splits:
        """The splits on this device, in the type in which is computed."""
        return splits.to(torch.device(self.kind), self.dtype)

    def layers_precision(self, config: Config) -> str:
        """The type of the products in the recurrent layers of a trial."""
        low = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(self.precision)
        found = product_dtype(config.model.kernel, self.kind, self.dtype, low)
        in_tf32 = found == torch.float32 and self.accelerator == "gpu" and config.trainer.tf32
        return "tf32" if in_tf32 else str(found).removeprefix("torch.")


# cuInit and cuDeviceGetCount of NVIDIA's driver; torch's runtime counts what the driver does.
COUNT_BY_DRIVER = """
import ctypes
driver, count = ctypes.CDLL("libcuda.so.1"), ctypes.c_int(0)
driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
print(count.value)
"""


@cache
def num_gpus() -> int:
    """The GPUs that torch may use, counted without waking CUDA here: a process that has woken it must not fork.

    NVML counts without waking anything. Where there is no NVML, or `CUDA_VISIBLE_DEVICES` names parts of a GPU (MIG),
    torch would ask CUDA itself: then another process does.
    """
    if not torch.backends.cuda.is_built():
        return 0
    count = torch.cuda._device_count_nvml()
    if count >= 0:
        return count
    asked = [sys.executable, "-S", "-c", COUNT_BY_DRIVER]
    found = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return int(found or 0)  # no driver, no GPU


def to_device(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Values from the CPU on a device, without waiting for what the device does before."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def check_device(trainer: TrainerConfig) -> str:
    """The accelerator a trial will use, found without initialising any, so that the process may still fork.

    Raises:
        UserError: if a GPU is asked for and there is none, or the precision is not for a CPU.
    """
    has_gpu = num_gpus() > 0
    if not has_gpu:
        # Optimisers ask at every step, and NVML looks for its library each time: 0.1 ms.
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
    if trainer.accelerator == "gpu" and not has_gpu:
        raise UserError("trainer.accelerator=gpu: no CUDA device here; use trainer=auto or trainer=cpu")
    accelerator = "gpu" if has_gpu and trainer.accelerator != "cpu" else "cpu"
    if accelerator == "cpu" and trainer.precision == "16-mixed":
        raise UserError(
            "trainer.precision=16-mixed: needs a GPU; allowed on a CPU are auto, 32-true, 64-true, bf16-mixed"
        )
    return accelerator


def resolve_device(trainer: TrainerConfig) -> Device:
    """The device and precision a trial runs with; `auto` is float32 on a CPU, bf16 or fp16 mixed on a GPU.

    Raises:
        UserError: as `check_device`, or if the GPU has no bf16 and it was asked for.
    """
    accelerator = check_device(trainer)
    if accelerator == "cpu":
        return Device("cpu", "32-true" if trainer.precision == "auto" else trainer.precision, "cpu")
    name = torch.cuda.get_device_name()
    has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    if trainer.precision == "bf16-mixed" and not has_bf16:
        raise UserError(
            f"trainer.precision=bf16-mixed: {name} has no bf16; allowed are auto, 16-mixed, 32-true, 64-true"
        )
    if trainer.precision == "auto":
        return Device("gpu", "bf16-mixed" if has_bf16 else "16-mixed", name)
    return Device("gpu", trainer.precision, name)
