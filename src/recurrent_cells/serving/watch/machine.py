"""Memory and load of this machine, and of its GPUs where NVIDIA's own tool tells of them."""

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from typing import Any

import psutil

from recurrent_cells.memory import memory

SECONDS_BETWEEN_LOOKS = 5.0
SECONDS_TO_ANSWER = 3.0
GPU_QUERY = ("--query-gpu=name,utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits")
MIB = 1 << 20


class Machine:
    """What the machine has in use, looked at every few seconds."""

    def __init__(self) -> None:
        self._tool = shutil.which("nvidia-smi")  # torch would wake CUDA in this process
        self._next_look, self._gpus = 0.0, list[dict[str, Any]]()
        psutil.cpu_percent()  # the first answer is without meaning

    def look(self) -> dict[str, Any]:
        """Bytes of memory, the share of the processors in use in per cent, and each GPU."""
        if self._tool and time.monotonic() > self._next_look:
            self._next_look, self._gpus = time.monotonic() + SECONDS_BETWEEN_LOOKS, _gpus(self._tool)
        total = memory()
        return {
            "host": os.uname().nodename,
            "cores": len(os.sched_getaffinity(0)),
            "busy": psutil.cpu_percent(),
            "load": os.getloadavg()[0],
            "memory": {"used": min(psutil.virtual_memory().used, total), "total": total},
            "gpus": self._gpus,
        }


def _gpus(tool: str) -> list[dict[str, Any]]:
    """Each GPU that tells its load; none if the tool fails or takes longer than some seconds."""
    try:
        told = subprocess.run((tool, *GPU_QUERY), capture_output=True, text=True, timeout=SECONDS_TO_ANSWER, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [found for line in told.stdout.splitlines() if (found := _gpu(line.split(", ")))]


def _gpu(columns: Sequence[str]) -> dict[str, Any] | None:
    """None for a GPU that does not tell, as one that is shared out does not."""
    name, *numbers = columns
    if len(numbers) != 3 or not all(number.strip().isdecimal() for number in numbers):
        return None
    busy, used, total = map(int, numbers)
    return {"name": name, "busy": busy, "memory": {"used": used * MIB, "total": total * MIB}}
