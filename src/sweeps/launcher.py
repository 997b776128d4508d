"""Trials as processes forked from this one, which has everything imported and the data loaded."""

import ctypes
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from src.errors import Interrupted, TrialBusy
from src.interrupts import Interruption, handled
from src.messages import explain
from src.sweeps.outcome import Outcome
from src.sweeps.view import View

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.02


@dataclass
class _Child:
    index: int
    slot: int
    pid: int
    pipe: int
    console: Path


class LocalLauncher(Launcher):
    """Runs up to `slots` trials at once, each in a process of its own that dies with this one.

    Args:
        slots: null is one per CPU core, or one per GPU where trials run on GPUs.
    """

    def __init__(self, slots: int | None = None) -> None:
        self.slots = slots
        self.config: DictConfig
        self.task_function: TaskFunction
        self.hydra_context: HydraContext

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run every job; one Outcome each, in a JobReturn that Hydra counts as completed.

        Raises:
            Interrupted: once every running trial has saved its state and stopped.
        """
        setup_globals()
        gpus = warm_up(self.config)
        slots = self.slots or gpus or len(os.sched_getaffinity(0))
        jobs = list(job_overrides)
        outcomes: dict[int, Outcome] = {}
        waiting = list(range(len(jobs)))
        children: list[_Child] = []
        with handled() as interruption, View(_varied(jobs), slots) as view:
            try:
                with interruption.deferred():
                    while (waiting and not interruption.asked) or children:
                        while waiting and len(children) < slots and not interruption.asked:
                            index = waiting.pop(0)
                            slot = min(set(range(slots)) - {child.slot for child in children})
                            children.append(self._fork(index, initial_job_idx + index, jobs[index], slot, gpus))
                            view.started(index)
                        _forward(interruption, children)
                        for child, outcome in _ended(children):
                            children.remove(child)
                            outcomes[child.index] = outcome
                            view.ended(child.index, outcome)
                        view.tick()
                        time.sleep(POLL_SECONDS)
                interruption.raise_if_asked()
            finally:
                for child in children:
                    os.kill(child.pid, signal.SIGKILL)
                    os.waitpid(child.pid, 0)
        return [_job_return(jobs[index], outcomes[index]) for index in range(len(jobs))]

    def _fork(self, index: int, number: int, overrides: Sequence[str], slot: int, gpus: int) -> _Child:
        reader, writer = os.pipe()
        handle, console = tempfile.mkstemp(prefix="trial-", suffix=".log")
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _enter_child(parent, handle)
            if gpus > 1:
                os.environ["CUDA_VISIBLE_DEVICES"] = str(slot % gpus)
            os.write(writer, json.dumps(asdict(self._run(number, overrides))).encode())
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
        os.close(writer)
        os.close(handle)
        return _Child(index, slot, pid, reader, Path(console))

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
            return outcome_of(job)
        except Interrupted as interruption:
            return Outcome("killed", error=str(interruption))
        except SystemExit as left:
            return Outcome("failed", error=f"the trial called sys.exit({left.code})")
        except BaseException as error:
            return Outcome("failed", error=f"{type(error).__name__}: {error}")


def outcome_of(job: JobReturn) -> Outcome:
    """What a launcher's JobReturn says of a trial."""
    value = job._return_value
    if isinstance(value, Outcome):
        return value
    if isinstance(value, TrialBusy):
        return Outcome("busy", error=str(value))
    if job.status == JobStatus.COMPLETED:
        return Outcome("finished", result=value if isinstance(value, dict) else {})
    return Outcome("failed", error=explain(value))


def warm_up(config: DictConfig) -> int:
    """Import what trials need, so that their processes start with it; the number of GPUs they may use.

    One thread only: a fork after two-threaded tensor operations can deadlock.
    """
    import torch

    torch.set_num_threads(1)
    if torch.cuda.is_initialized():
        raise RuntimeError("CUDA is initialised in this process, which must not fork then: use hydra/launcher=basic")
    return 0 if config.trainer.accelerator == "cpu" else torch.cuda.device_count()


def _enter_child(parent: int, console: int) -> None:
    """Die with the parent, keep out of the terminal's Ctrl-C (the parent passes it on), write to a file."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(console, 1)
    os.dup2(console, 2)


def _forward(interruption: Interruption, children: list[_Child]) -> None:
    """Pass a first signal on, once: trials save their state and stop."""
    signum = interruption.take()
    if signum is not None:
        for child in children:
            os.kill(child.pid, signum)


def _ended(children: list[_Child]) -> Iterator[tuple[_Child, Outcome]]:
    for child in list(children):
        pid, status = os.waitpid(child.pid, os.WNOHANG)
        if pid:
            yield child, _read_outcome(child, status)


def _read_outcome(child: _Child, status: int) -> Outcome:
    with os.fdopen(child.pipe, "rb") as pipe:
        message = pipe.read()
    said = child.console.read_text(errors="replace").strip().splitlines()
    if message:
        child.console.unlink()
        return Outcome(**json.loads(message))
    last = f"; it said last: {said[-1][:200]}" if said else ""
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return Outcome("killed", error=f"process {child.pid} was ended by {name}{last}", log=str(child.console))
    code = os.waitstatus_to_exitcode(status)
    return Outcome("failed", error=f"process {child.pid} exited with {code}{last}", log=str(child.console))


def _job_return(overrides: Sequence[str], outcome: Outcome) -> JobReturn:
    job = JobReturn(overrides=overrides, status=JobStatus.COMPLETED)
    job.return_value = outcome
    return job


def _varied(jobs: list[Sequence[str]]) -> list[str]:
    """Each job by the overrides that not all jobs share."""
    common = set(jobs[0]).intersection(*jobs[1:]) if len(jobs) > 1 else set()
    return [" ".join(override for override in job if override not in common) or "the trial" for job in jobs]
