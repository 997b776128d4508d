"""What is installed on which machine."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from packaging.requirements import Requirement

from benchmarks.gpu_check.check import Check, Point
from benchmarks.record import machine
from src import REPOSITORY

OF_TESTS = ("pytest>=8", "pytest-xdist", "hypothesis>=6.100")
TITLE, SECONDS, SHARE = "The machine", 10, 10


def points(check: Check) -> Iterator[Point]:
    yield Point("packages", packages)
    yield Point("machine", lambda: describe(check))


def packages() -> dict[str, Any]:
    """The versions of all that the project depends on, and of Triton; what is missing; what is not in its range."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    needed = [Requirement(text) for text in [*project["dependencies"], "triton", *OF_TESTS]]
    found = {}
    for requirement in needed:
        try:
            found[requirement.name] = version(requirement.name)
        except PackageNotFoundError:
            continue
    return {
        "found": found,
        "missing": [it.name for it in needed if it.name not in found],
        "outside": [str(it) for it in needed if it.name in found and found[it.name] not in it.specifier],
    }


def describe(check: Check) -> dict[str, Any]:
    """The device as torch sees it; `name` is that of the GPU."""
    found: dict[str, Any] = {"machine": machine(), "name": "cpu", "python": sys.version.split()[0]}
    if check.device == "cpu":
        return found
    device = torch.cuda.get_device_properties(0)
    return found | {
        "name": device.name,
        "capability": f"{device.major}.{device.minor}",
        "memory (GiB)": round(device.total_memory / 2**30, 1),
        "multiprocessors": device.multi_processor_count,
        "shared memory of a block (bytes)": getattr(device, "shared_memory_per_block_optin", None),
        "CUDA": torch.version.cuda,
        "cuDNN": torch.backends.cudnn.version(),
        "driver": _driver(),
        "GPUs by NVML": torch.cuda._device_count_nvml(),
        "bf16": torch.cuda.is_bf16_supported(including_emulation=False),
    }


def _driver() -> str:
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"


def report(found: Mapping[str, Any]) -> Iterator[str]:
    if "machine" in found:
        yield from ["| | |", "|---|---|"]
        yield from (f"| {name} | {value} |" for name, value in found["machine"].items() if name != "machine")
        yield ""
    if "packages" in found:
        for what in ("missing", "outside"):
            names = found["packages"][what]
            if names:
                yield f"{'Missing' if what == 'missing' else 'Outside of their range'}: {', '.join(names)}."
                yield ""
