"""Trains trials of one shape to their ends, going on where killed ones were, and reads the test examples once."""

import gc
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray

from recurrent_cells.data.splits import Splits
from recurrent_cells.errors import TrialError
from recurrent_cells.interrupts import Interruption
from recurrent_cells.tasks import Task
from recurrent_cells.training.callbacks import Stopping, TimeLimit
from recurrent_cells.training.chunks import evaluated_at_once
from recurrent_cells.training.device import Device
from recurrent_cells.training.loaders import Chunks, Slices
from recurrent_cells.training.member import Member
from recurrent_cells.training.module import TrialModule
from recurrent_cells.training.program import Program
from recurrent_cells.training.pruning import Pruning
from recurrent_cells.training.trainer import build_trainer

PROBED = 2
USABLE_MEMORY = 0.8

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fit:
    """Trains members to their ends; those at different steps, or too many, in one program after another.

    Args:
        data: on the device.
        ended: takes each member once it has ended, its last state kept.
        most: the most members of a program; None: as many as the GPU's memory holds.
        stacked: a member that is left alone is computed as in a program of several: the same bits.
        pruning: stops a trial that is alone.
    """

    data: Splits
    task: Task
    device: Device
    interruption: Interruption
    ended: Callable[[Member], None]
    most: int | None = None
    stacked: bool = False
    pruning: Pruning | None = None

    def __call__(self, members: Sequence[Member]) -> None:
        """Train all.

        Raises:
            Interrupted: after a signal, their states being saved.
        """
        for member in members:
            if member.progress.done:  # killed after training, before the test
                member.ended = True
                self._tell(member)
        waiting = deque(self._groups([member for member in members if not member.ended]))
        while waiting:
            group = [member for member in waiting.popleft() if not member.ended]
            if not group:  # all were asked to stop while they waited
                continue
            fits = self._train(group, members)
            self._release()
            left = [member for member in group if not member.ended]
            if not fits and len(left) == 1:
                left[0].ended = True
                left[0].error = TrialError("out of memory, alone in its program: a smaller data.batch_size may help")
                left = []
            for member in group:
                if member.ended and not member.told:
                    self._tell(member)
            if not fits and left:
                log.warning("%d trials at once are too many for the memory: in two halves", len(left))
                waiting.extendleft([left[len(left) // 2 :], left[: len(left) // 2]])
            elif left:
                waiting.appendleft(left)

    def _tell(self, member: Member) -> None:
        member.told = True
        self.ended(member)

    def _groups(self, members: Sequence[Member]) -> Iterator[list[Member]]:
        most = self.most or self._as_many_as_fit(members)
        by_step: dict[int, list[Member]] = defaultdict(list)
        for member in members:
            by_step[member.progress.step].append(member)
        for _, together in sorted(by_step.items()):
            size = -(-len(together) // -(-len(together) // most))  # of equal size rather than a full and a small one
            yield from (together[start : start + size] for start in range(0, len(together), size))

    def _as_many_as_fit(self, members: Sequence[Member]) -> int:
        """The most members of a program by what more of them take; what all share is taken once, the data already."""
        if self.device.accelerator != "gpu" or len(members) <= PROBED:
            return len(members)
        self._memory_of(members[:PROBED])  # the libraries' own, which stays
        few, more = self._memory_of(members[:PROBED]), self._memory_of((*members, *members)[: 2 * PROBED])
        for_each = (more - few) / PROBED
        self._release()
        free, _ = torch.cuda.mem_get_info()
        return max(1, int((USABLE_MEMORY * free - few) / for_each) + PROBED)

    def _memory_of(self, members: Sequence[Member]) -> int:
        """The bytes that a program of these members takes beside the data."""
        self._release()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        Program(members, self.data, self.task, self.device).rehearse()
        return torch.cuda.max_memory_allocated() - before

    def _release(self) -> None:
        """Give back the memory of programs that are done: each refers to itself, and holds the memory of its graph."""
        if self.device.accelerator == "gpu":
            gc.collect()
            torch.cuda.empty_cache()

    def _train(self, group: Sequence[Member], members: Sequence[Member]) -> bool:
        """Train a program until it is done; False if the memory does not hold it. Those left have their states then."""
        program = None
        try:
            program = Program(group, self.data, self.task, self.device, self.stacked)
            self._run(program, members)
        except torch.OutOfMemoryError:
            return False
        except TrialError:
            if program is None or program.open:  # no member has the error: the device is at fault
                program = None
                raise
        finally:
            if program is not None and program.open:
                states = program.states()
                for place, member in program.open:
                    member.state = states[place]
        return True

    def _run(self, program: Program, members: Sequence[Member]) -> None:
        first = program.members[0]
        config = first.config
        size = max(config.data.batch_size, evaluated_at_once(config, self.data, len(program.members)))
        validation, module = Slices(self.data.val, size), TrialModule(program.networks.module, self.task, program)
        callbacks: list[pl.Callback] = [
            Stopping(members, self._tell),
            *([] if self.pruning is None else [self.pruning]),
        ]
        if config.trainer.max_seconds is not None:
            callbacks.append(TimeLimit())
        trainer = build_trainer(config.trainer, self.device, first.run.folder, self.interruption, callbacks)
        with self.interruption.deferred():
            if program.is_evaluation_due:
                trainer.validate(module, validation, verbose=False)
            if not program.is_done:
                trainer.fit(module, Chunks(program), validation)
        self.interruption.raise_if_asked()


@dataclass(frozen=True)
class Tested:
    """What came of the test of a network, where it has classes with its confusions and the hardest examples.

    Args:
        outcomes: the metric of each example (N,).
        numbers: answers and targets (N, O) where they are numbers.
    """

    outcomes: NDArray[np.float32]
    confusion: list[list[int]] | None
    hardest: list[tuple[int, int, float, float]]
    scores: list[float]
    numbers: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None


def test(member: Member, data: Splits, task: Task, device: Device, interruption: Interruption) -> Tested:
    """Test a member that has ended with its best weights by validation, or the last if the config says so."""
    network = member.classifier.to(data.test.sequences.device, data.test.sequences.dtype)
    network.load_state_dict(member.chosen_weights())
    module = TrialModule(network, task)
    trainer: pl.Trainer = build_trainer(member.config.trainer, device, member.run.folder, interruption)
    trainer.test(module, Slices(data.test, evaluated_at_once(member.config, data)), verbose=False)
    (loss,), (scores,) = module.tally.losses, module.tally.scores
    answers = module.answers
    member.progress.log_test(loss, scores, task.beside(*answers.all))
    if not task.has_classes:
        return Tested(answers.outcomes, None, [], scores, answers.numbers)
    return Tested(answers.outcomes, answers.confusion, module.hardest.found, scores)
