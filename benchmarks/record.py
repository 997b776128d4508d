"""How results are written down: with the machine, the versions and the date."""

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path


def machine() -> str:
    """One line: date, processor, cores, versions; the GPU where there is one."""
    import torch

    processor = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    parts = [
        datetime.datetime.now(datetime.UTC).date().isoformat(),
        f"{processor}, {len(os.sched_getaffinity(0))} cores",
        f"Python {platform.python_version()}",
        *(f"{name} {version(name)}" for name in ("torch", "pytorch-lightning", "hydra-core", "mlflow")),
    ]
    if torch.cuda.is_available():
        parts.insert(2, torch.cuda.get_device_name())
    return ", ".join(parts)


def write_result(text: str, path: Path | None) -> None:
    """Print a result, and keep it in a file if one is named."""
    print(text)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
