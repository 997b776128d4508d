"""Trials as processes forked from this one, which has everything imported and the data loaded."""

import ctypes
import gc
import importlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NoReturn

from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from src.errors import Interrupted, UserError
from src.interrupts import SIGNALS, Interruption, handled
from src.sweeps.launchers.feed import Feed, Job, Listed
from src.sweeps.launchers.planned import PlannedLauncher
from src.sweeps.outcome import Outcome, job_return, outcome_of
from src.sweeps.view import View

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.02
LONGEST_ERROR = 2000
LONGEST_MESSAGE = 1 << 16  # what a pipe holds: a child writes its outcome without waiting for a reader

# What `train` imports late, in the parent once and for all.
NEEDED_BY_TRIALS = (
    "matplotlib.backends.backend_agg",
    "src.data.datamodule",
    "src.inference.saved",
    "src.models.classifier",
    "src.sweeps.trial",
    "src.tracking.logger",
    "src.training.artifacts",
    "src.training.fit",
    "src.training.module",
    "src.training.pruning",
    "src.training.trainer",
)


@dataclass
class _Child:
    job: Job
    index: int
    slot: int
    pid: int
    pipe: int
    console: Path


class LocalLauncher(PlannedLauncher):
    """Runs up to `slots` trials at once, each in a process of its own that dies with this one.

    Args:
        slots: null is one per CPU core, or one per GPU where trials run on GPUs.
    """

    def __init__(self, slots: int | None = None) -> None:
        self.slots = slots

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Raises UserError if the number of slots will not do."""
        if self.slots is not None and self.slots < 1:
            raise UserError(
                f"hydra.launcher.slots={self.slots}: allowed is an integer of at least 1, "
                "or null (one per CPU core, or per GPU)"
            )
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run every job; one Outcome each, in a JobReturn that Hydra counts as completed.

        Raises:
            Interrupted: once every running trial has saved its state and stopped.
        """
        jobs = list(job_overrides)
        labels = [trial.label for trial in self.trials] or _varied(jobs)
        listed = Listed([Job(label, overrides) for label, overrides in zip(labels, jobs, strict=True)])
        self.run(listed, initial_job_idx)
        return [job_return(overrides, outcome) for overrides, outcome in zip(jobs, listed.outcomes, strict=True)]

    def run(self, feed: Feed, first_number: int = 0) -> None:
        """Run jobs as a feed gives them, until it is done; raises as `launch`."""
        setup_globals()
        gpus = warm_up(self.config)
        slots = self.slots or gpus or len(os.sched_getaffinity(0))
        children: list[_Child] = []
        labels: list[str] = []  # of the jobs started
        with handled() as interruption, View(labels, slots, lambda: len(labels) + feed.waiting) as view:
            try:
                with interruption.deferred():
                    while children or not (feed.done or interruption.asked):
                        while len(children) < slots and not interruption.asked and (job := feed.next()) is not None:
                            slot = min(set(range(slots)) - {child.slot for child in children})
                            children.append(self._fork(job, len(labels), first_number + len(labels), slot, gpus))
                            labels.append(job.label)
                            view.started(len(labels) - 1)
                        _forward(interruption, children, view)
                        for child, outcome in _ended(children):
                            children.remove(child)
                            feed.ended(child.job, outcome)
                            view.ended(child.index, outcome)
                        view.tick()
                        time.sleep(POLL_SECONDS)
                interruption.raise_if_asked()
            finally:
                gc.unfreeze()
                for child in children:
                    with suppress(ProcessLookupError, ChildProcessError):
                        os.kill(child.pid, signal.SIGKILL)
                        os.waitpid(child.pid, 0)
                    child.console.unlink(missing_ok=True)

    def _fork(self, job: Job, index: int, number: int, slot: int, gpus: int) -> _Child:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        handle, console = tempfile.mkstemp(prefix="trial-", suffix=".log")
        _flush()
        parent = os.getpid()
        # A signal meets a child that is not yet born or one that is ready for it.
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                self._be_trial(number, job.overrides, parent, handle, writer, _gpu(slot, gpus), unblocked)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        os.close(writer)
        os.close(handle)
        return _Child(job, index, slot, pid, reader, Path(console))

    def _be_trial(
        self,
        number: int,
        overrides: Sequence[str],
        parent: int,
        console: int,
        writer: int,
        gpu: str | None,
        unblocked: set[int | signal.Signals],
    ) -> NoReturn:
        """In the child: nothing leaves this function, the parent's stack is not ours to unwind."""
        code = 1
        try:
            _enter_child(parent, console)
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
            if gpu is not None:
                os.environ["CUDA_VISIBLE_DEVICES"] = gpu
            os.write(writer, json.dumps(asdict(self._run(number, overrides))).encode())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(Exception):
                _flush()
            os._exit(code)

    def _run(self, number: int, overrides: Sequence[str]) -> Outcome:
        """In the child: one job as Hydra runs it; whatever happens becomes an Outcome."""
        try:
            config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
            with open_dict(config):
                config.hydra.job.id = str(number)
                config.hydra.job.num = number
            job = run_job(
                hydra_context=self.hydra_context,
                task_function=self.task_function,
                config=config,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
            )
            outcome = outcome_of(job)
            if outcome.status == "failed":
                traceback.print_exception(job._return_value)
        except Interrupted as interruption:
            outcome = Outcome("killed", error=str(interruption))
        except BaseException as error:
            traceback.print_exc()
            outcome = Outcome("failed", error=f"{type(error).__name__}: {error}")
        return replace(outcome, error=outcome.error[:LONGEST_ERROR])


def warm_up(config: DictConfig) -> int:
    """Import what trials need, so that their processes start with it; the number of GPUs they may use.

    One thread only: a fork after two-threaded tensor operations can deadlock.
    """
    import torch

    from src.training.device import use_threads

    use_threads(1)
    if torch.cuda.is_initialized():
        raise RuntimeError("CUDA is initialised in this process, which must not fork then: use hydra/launcher=basic")
    from src.tracking.provenance import git_tags, library_tags

    for name in NEEDED_BY_TRIALS:
        importlib.import_module(name)
    if config.registry and torch.cuda.device_count() == 0:  # an export might wake CUDA, which must not be forked
        from src.tracking import model

        model.warm_up()
    git_tags()
    library_tags()
    gc.freeze()  # else a collection in a child touches, and so copies, every object of this process
    return 0 if config.trainer.accelerator == "cpu" else torch.cuda.device_count()


def _gpu(slot: int, gpus: int) -> str | None:
    """The one GPU of a slot, among those the user made visible; None where there is no choice."""
    if gpus < 2:
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[:gpus]
    return visible[slot % gpus] if len(visible) == gpus else str(slot % gpus)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.flush()


def _enter_child(parent: int, console: int) -> None:
    """Die with the parent, keep out of the terminal's Ctrl-C (the parent passes it on), write to a file."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    os.setpgid(0, 0)
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_DFL)
    os.dup2(console, 1)
    os.dup2(console, 2)
    sys.stdout = sys.stderr = os.fdopen(console, "w", buffering=1, encoding="utf-8", errors="replace")


def _forward(interruption: Interruption, children: list[_Child], view: View) -> None:
    """Pass a first signal on, once: trials save their state and stop."""
    signum = interruption.take()
    if signum is not None:
        view.stopping()
        for child in children:
            os.kill(child.pid, signum)


def _ended(children: list[_Child]) -> Iterator[tuple[_Child, Outcome]]:
    for child in list(children):
        pid, status = os.waitpid(child.pid, os.WNOHANG)
        if pid:
            yield child, _read_outcome(child, status)


def _read_outcome(child: _Child, status: int) -> Outcome:
    outcome = _told(child.pipe) or _unsaid(child.pid, status)
    said = child.console.read_text(errors="replace").strip().splitlines()
    if outcome.status not in ("failed", "killed") or not said:
        child.console.unlink()
        return outcome
    if outcome.error.startswith(f"process {child.pid} "):
        outcome = replace(outcome, error=f"{outcome.error}; it said last: {said[-1][:200]}")
    return replace(outcome, log=str(child.console))


def _told(pipe: int) -> Outcome | None:
    """The outcome that a child wrote, if it came to that."""
    try:
        return Outcome(**json.loads(os.read(pipe, LONGEST_MESSAGE)))
    except (BlockingIOError, ValueError):
        return None
    finally:
        os.close(pipe)


def _unsaid(pid: int, status: int) -> Outcome:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return Outcome("failed", error=f"process {pid} exited with {code}")
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return Outcome("killed", error=f"process {pid} was ended by {name}")


def _varied(jobs: list[Sequence[str]]) -> list[str]:
    """Each job by the overrides that not all jobs share."""
    common = set(jobs[0]).intersection(*jobs[1:]) if len(jobs) > 1 else set()
    return [" ".join(override for override in job if override not in common) for job in jobs]
