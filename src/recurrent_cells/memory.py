"""The memory that this process may have, and what would not fit into it."""

import resource
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import psutil

from recurrent_cells.errors import UserError

# Where the limits of control groups lie, of version 2 and of version 1.
CGROUPS = {"": ("/sys/fs/cgroup", "memory.max"), "memory": ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")}


def check_memory(needed: int, what: str, advice: str) -> None:
    """Raises UserError, with `what` is too large and advice, if so many bytes are more than there is memory."""
    if needed > memory():
        raise UserError(f"{what}: needs {_gib(needed)} of memory, and there are {_gib(memory())}; {advice}")


@cache
def memory() -> int:
    """Bytes of this machine, or of the container or shell that has fewer."""
    limits = [psutil.virtual_memory().total, *_of_cgroups()]
    address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
    return min(limits + [address_space] * (address_space != resource.RLIM_INFINITY))


def _of_cgroups() -> Iterator[int]:
    groups = Path("/proc/self/cgroup")
    for line in groups.read_text().splitlines() if groups.exists() else ():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            root, name = CGROUPS.get(controller, ("", ""))
            folder = Path(f"{root}{path}")
            files = [place / name for place in (folder, *folder.parents) if root]
            yield from (
                int(text) for file in files if file.is_file() and (text := file.read_text().strip()).isdecimal()
            )


def _gib(count: int) -> str:
    gib = count / 2**30
    return f"{gib:,.1f} GiB" if gib < 1e6 else "over a million GiB"
