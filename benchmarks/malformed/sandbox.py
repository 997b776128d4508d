"""A command in a process of its own, forked from one that has everything imported, and what it leaves behind."""

import importlib
import logging
import os
import resource
import signal
import sqlite3
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

# Seconds of a processor beyond imports, and bytes beyond those of the forked process, that refusing may take.
MOST_SECONDS = 20.0
# Seconds on the clock after which a command is ended, on a machine that others use too.
PATIENCE = 120.0
MOST_BYTES = 1 << 30
# Address space that ends a command before it ends the machine.
SAFE_BYTES = 1 << 34


@dataclass(frozen=True)
class Case:
    """A command line that must be refused; `{folder}` in an argument is the folder of the bad files.

    Args:
        code: what it ends with; 1 where some of many files cannot be read.
    """

    kind: str
    name: str
    command: str
    arguments: tuple[str, ...]
    code: int = 2
    stdin: bytes = b""


@dataclass(frozen=True)
class Verdict:
    """What became of a case; `faults` is empty where it was refused as it should be."""

    case: Case
    seconds: float
    megabytes: float
    said: str
    faults: tuple[str, ...]


class Sandbox:
    """A folder in which commands run, with a store, a folder for temporary files and one of bad files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home, self.temporary, self.bad, self.work = (root / name for name in ("home", "tmp", "bad", "work"))
        self.store = root / "store" / "mlflow.db"
        for folder in (self.home, self.temporary, self.bad, self.work, self.store.parent):
            folder.mkdir(parents=True, exist_ok=True)

    def prepare(self) -> None:
        """Turn this process's surroundings into those of the folder; before the package is imported."""
        os.environ |= {
            "RECURRENT_CELLS_HOME": str(self.home),
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.store}",
            "TMPDIR": str(self.temporary),
            "CUDA_VISIBLE_DEVICES": "",
        }

    def run(self, case: Case, patience: float = PATIENCE) -> Verdict:
        """Run a command to its end and compare what there was before and after."""
        before = self._state()
        said_file, input_file = self.root / "said", self.root / "input"
        input_file.write_bytes(case.stdin)
        until, own = time.monotonic() + patience, _resident()
        pid = os.fork()
        if pid == 0:
            self._be(case, said_file, input_file)
        status, usage, killed = _waited(pid, until)
        seconds = usage.ru_utime + usage.ru_stime
        megabytes = max(usage.ru_maxrss * 1024 - own, 0) / 2**20
        out, err = (said_file.with_suffix(end).read_text(errors="replace") for end in (".out", ".err"))
        faults = [f"did not end in {patience:g} s"] if killed else []
        if seconds > MOST_SECONDS and case.code:
            faults.append(f"took {seconds:.0f} s")
        code = os.waitstatus_to_exitcode(status)
        if code != case.code:
            faults.append(f"ended with {code}")
        if not 1 <= len(err.strip().splitlines()) <= 2:
            faults.append(f"{len(err.strip().splitlines())} lines on standard error")
        if "Traceback" in err + out:
            faults.append("a traceback")
        if megabytes * 2**20 > MOST_BYTES:
            faults.append(f"{megabytes:,.0f} MiB")
        if left := self._state() ^ before:
            faults.append(f"left behind or changed: {sorted(map(str, left))[:3]}")
        return Verdict(case, seconds, megabytes, err.strip(), tuple(faults))

    def _be(self, case: Case, said: Path, given: Path) -> None:
        """In the child: nothing leaves this function, the parent's stack is not ours to unwind."""
        code = 1
        try:
            os.setpgid(0, 0)
            resource.setrlimit(resource.RLIMIT_AS, (SAFE_BYTES, SAFE_BYTES))
            logging.getLogger().handlers.clear()  # what the imports of the parent put there
            os.chdir(self.work)
            for descriptor, path in ((1, said.with_suffix(".out")), (2, said.with_suffix(".err"))):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
            os.dup2(os.open(given, os.O_RDONLY), 0)
            sys.argv = [case.command, *(argument.replace("{folder}", str(self.bad)) for argument in case.arguments)]
            importlib.import_module("recurrent_cells.cli").main(case.command)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def _state(self) -> set[tuple[str, ...]]:
        """The files there are, the store's own aside, and its runs with their statuses."""
        own = {self.store, *(self.store.with_name(self.store.name + end) for end in ("-wal", "-shm"))}
        files: set[tuple[str, ...]] = {
            (str(path.relative_to(self.root)),)
            for folder in (self.home, self.temporary, self.work, self.store.parent)
            for path in folder.rglob("*")
            if path not in own
        }
        if not self.store.exists():
            return files
        connection = sqlite3.connect(self.store)
        try:
            return files | set(connection.execute("SELECT run_uuid, status FROM runs"))
        finally:
            connection.close()


def _resident() -> int:
    """Bytes of memory that this process holds now; the most it has held would hide what a child takes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _waited(pid: int, until: float) -> tuple[int, resource.struct_rusage, bool]:
    """Wait for a process, and end it when its time is over."""
    while time.monotonic() < until:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return status, usage, False
        time.sleep(0.005)
    os.killpg(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    return status, usage, True
