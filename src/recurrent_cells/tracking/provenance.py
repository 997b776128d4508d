"""What made a run beside its code: libraries, the machine, the process."""

import os
import platform
import socket
import sys
import time
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import psutil

from recurrent_cells.tracking.names import Tag

LIBRARIES = ("torch", "torchvision", "pytorch-lightning", "hydra-core", "mlflow", "numpy")
ATTEMPT_VARIABLE = "RECURRENT_CELLS_ATTEMPT"
UNKNOWN = "unknown"


@lru_cache(maxsize=1)
def packages() -> tuple[str, ...]:
    """`NAME==VERSION` of each package that is installed, by the names of their folders: to read all takes a second."""
    folders = {path.stem for entry in sys.path if entry for path in Path(entry).glob("*.dist-info")}
    return tuple(sorted("==".join(folder.split("-", 1)) for folder in folders))


@lru_cache(maxsize=1)
def library_tags() -> dict[str, str]:
    """Versions of what computes and of what it is written in."""
    own = {"version.python": platform.python_version(), "version.blas": _blas()}
    return {f"version.{name}": version(name) for name in LIBRARIES} | own


def _blas() -> str:
    """NumPy's linear algebra and the processor it thinks it is on: another one rounds otherwise."""
    import numpy as np
    from threadpoolctl import threadpool_info

    folder = str(Path(np.__file__).parent)  # its own is in numpy/ or numpy.libs/; others may be loaded too
    found = [it for it in threadpool_info() if it["user_api"] == "blas" and it["filepath"].startswith(folder)]
    return f"{found[0]['internal_api']} {found[0]['version']} {found[0]['architecture']}" if found else "unknown"


def process_tags() -> dict[str, str]:
    """This process, well enough for others to tell later whether it still lives."""
    pid = os.getpid()
    return {
        Tag.HOST: socket.gethostname(),
        Tag.BOOT: boot_id(),
        Tag.NAMESPACE: _namespace(),
        Tag.PID: str(pid),
        Tag.START: process_start(pid) or "",
        Tag.HEARTBEAT: heartbeat(),
        Tag.ATTEMPT: os.environ.get(ATTEMPT_VARIABLE, ""),
    }


def heartbeat() -> str:
    """Another text at every call: others see it change, and need not ask what time it is."""
    return str(time.monotonic_ns())


def is_here(tags: Mapping[str, str]) -> bool:
    """Whether the process that a run's tags name was counted as those are that this one sees.

    The kernel knows, whatever the machine is called now; the host's name is asked where the tags do not say more.
    """
    same_name = tags.get(Tag.HOST) == socket.gethostname()
    same_boot = tags.get(Tag.BOOT) == boot_id() != UNKNOWN
    if Tag.NAMESPACE not in tags:  # of an earlier version
        return same_name
    return (same_boot or same_name) and tags[Tag.NAMESPACE] == _namespace()


def death_here(tags: Mapping[str, str]) -> str | None:
    """Why a process that was started here cannot be at work; None if it is."""
    if tags.get(Tag.BOOT) != boot_id():
        return f"host {tags.get(Tag.HOST)} was restarted"
    pid = tags[Tag.PID]
    if not pid.isdecimal() or process_start(int(pid)) != tags.get(Tag.START):
        return f"process {pid} is gone (killed, or the power failed)"
    return None


def is_this_process(tags: Mapping[str, str]) -> bool:
    """Whether a run's tags name this process, in whatever attempt."""
    own = process_tags()
    return is_here(tags) and all(tags.get(key) == own[key] for key in (Tag.BOOT, Tag.PID, Tag.START))


def boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return UNKNOWN


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return UNKNOWN


def process_start(pid: int) -> str | None:
    """When a process began; None if there is no such process, or only its remains.

    In clock ticks by a clock that no one sets: since boot on Linux. It is the same number at every call.
    """
    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return None
    except psutil.NoSuchProcess:
        return None
    # psutil's own mark of a process: `create_time()` would move whenever the clock is set.
    return str(round(process._ident[1] * os.sysconf("SC_CLK_TCK")))
