"""Trials that are killed and go on, alone and packed, against the same undisturbed: by digest of the final weights."""

import hashlib
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.commands import open_in, run_train, store_in
from benchmarks.gpu_check.check import Check, Point
from recurrent_cells.tracking.artifacts import read_checkpoint
from recurrent_cells.tracking.queries import trial_records
from recurrent_cells.training import state
from src import REPOSITORY

TITLE, SECONDS, SHARE = "Killed and resumed", 60, 40
WAIT, PATIENCE = 120, 20  # seconds at most for the first checkpoint, and for the end of what was killed
PACKED = ("-m", "hydra/launcher=packed", "seed=0,1,2", "sweep.report=false")


def points(check: Check) -> Iterator[Point]:
    few = ("hydra.launcher.max_pack=3",) if check.device == "cpu" else ()
    common = (*check.overrides, *check.sizes.killed, "trainer.test_with=last", "model.output_dropout=0.1")
    for cell in check.sizes.cells[:2]:
        for precision in check.sizes.precisions:
            given = (*common, f"model={cell}", f"trainer.precision={precision}")
            yield Point(f"{cell}, {precision}, alone", partial(kill_and_resume, *given))
            if precision != "16-mixed":
                yield Point(f"{cell}, {precision}, packed", partial(kill_and_resume, *PACKED, *few, *given))


def kill_and_resume(*arguments: str) -> dict[str, Any]:
    """The digests of the final weights of an undisturbed command, and of one killed at its first checkpoint."""
    with tempfile.TemporaryDirectory() as calm, tempfile.TemporaryDirectory() as disturbed:
        run_train(Path(calm), *arguments)
        killed_after = _start_and_kill(Path(disturbed), arguments)
        run_train(Path(disturbed), *arguments)
        wanted, found = _digests(Path(calm)), _digests(Path(disturbed))
    return {
        "command": " ".join(arguments),
        "killed after (s)": round(killed_after, 1),
        "trials": len(wanted),
        "same": sum(found.get(trial) == digest for trial, digest in wanted.items()),
        "wanted": wanted,
        "found": found,
    }


def _start_and_kill(folder: Path, arguments: tuple[str, ...]) -> float:
    """Seconds until the first state was kept, and the command killed; its trials die with it."""
    start = time.monotonic()
    command = [sys.executable, "-m", "src.train", *arguments]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=REPOSITORY, env=os.environ | store_in(folder), stdout=quiet, stderr=quiet)
    try:
        while not any(folder.rglob("state.ckpt")):
            if process.poll() is not None or time.monotonic() - start > WAIT:
                raise RuntimeError(f"no checkpoint to be killed at: {' '.join(arguments)}")
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    seconds, end = time.monotonic() - start, time.monotonic() + PATIENCE
    while any(_is_running(pid) for pid in _pids_below(folder)):
        if time.monotonic() > end:
            raise RuntimeError(f"a trial outlives its killed command: {' '.join(arguments)}")
        time.sleep(0.05)
    return seconds


def _pids_below(folder: Path) -> list[int]:
    """The processes whose environment names the folder's store."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if str(folder).encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def _is_running(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _digests(folder: Path) -> dict[str, str]:
    """By the names of trials the SHA-256 of their final weights."""
    store, found = open_in(folder), {}
    for record in trial_records(store):
        if record.status == "FINISHED":
            content = state.read(io.BytesIO(read_checkpoint(store, record)), Path(record.name))
            digest = hashlib.sha256()
            for name, weight in sorted(content["weights"].items()):
                digest.update(name.encode() + weight.contiguous().numpy().tobytes())
            found[record.name] = digest.hexdigest()
    return found


def report(found: Mapping[str, Any]) -> Iterator[str]:
    yield from ["| | trials | of the same weights as undisturbed | killed after (s) |", "|---|---|---|---|"]
    for name, result in found.items():
        yield f"| {name} | {result['trials']} | {result['same']} | {result['killed after (s)']:g} |"
    yield ""
