"""Train many trials of one shape to their ends, in as few packs as memory and their steps allow."""

import logging
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch

from recurrent_cells.data.splits import Splits
from recurrent_cells.errors import TrialError
from recurrent_cells.interrupts import Interruption
from recurrent_cells.training.device import Device
from recurrent_cells.training.packs.pack import Member, Pack
from recurrent_cells.training.trainer import SECONDS_BETWEEN_CHECKPOINTS

# The states of a large pack take their time: this many times as long passes until the next are due.
PAUSE_FACTOR = 20
PROBED = 2
USABLE_MEMORY = 0.8

log = logging.getLogger(__name__)


class Keeper(Protocol):
    """Who has the members' runs."""

    def keep(self, member: Member, state: dict[str, Any]) -> None:
        """Save the state of a member."""

    def evaluated(self, member: Member) -> None:
        """A member has a new evaluation."""

    def end(self, member: Member, error: TrialError | None) -> None:
        """A member's training is done and its last state kept, or it cannot go on."""


class PackFit:
    """Trains members to their ends; those at different steps, or too many, in one pack after another.

    Args:
        most: the most members of a pack; None: as many as the GPU's memory holds.
    """

    def __init__(
        self, splits: Splits, device: Device, keeper: Keeper, interruption: Interruption, most: int | None = None
    ) -> None:
        self._splits, self._device, self._keeper, self._interruption = splits, device, keeper, interruption
        self._most = most

    def __call__(self, members: Sequence[Member]) -> None:
        """Train all; raises Interrupted after a signal, their states being saved."""
        waiting = deque(self._packs(members))
        while waiting:
            group = waiting.popleft()
            fits = self._train(group)
            left = [member for member in group if not member.progress.ended]
            if fits:
                waiting.extendleft([left] if left else [])
            elif len(left) == 1:
                self._end(left[0], TrialError("out of memory, alone in its pack: a smaller data.batch_size may help"))
            else:
                log.warning("%d trials at once are too many for the memory: in two halves", len(left))
                waiting.extendleft([left[len(left) // 2 :], left[: len(left) // 2]])

    def _packs(self, members: Sequence[Member]) -> Iterator[list[Member]]:
        most = self._most or self._as_many_as_fit(members)
        by_step: dict[int, list[Member]] = defaultdict(list)
        for member in members:
            by_step[member.progress.step].append(member)
        for _, together in sorted(by_step.items()):
            size = -(-len(together) // -(-len(together) // most))  # of equal ones rather than a full and a small
            yield from (together[start : start + size] for start in range(0, len(together), size))

    def _as_many_as_fit(self, members: Sequence[Member]) -> int:
        if self._device.accelerator != "gpu" or len(members) <= PROBED:
            return len(members)
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        Pack(members[:PROBED], self._splits.train, self._splits.val, self._device).rehearse()
        for_each = (torch.cuda.max_memory_allocated() - before) / PROBED
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info()
        return max(1, int(USABLE_MEMORY * free / for_each))

    def _train(self, group: Sequence[Member]) -> bool:
        """Train a pack until all its members have ended, or half of them; False if the memory does not hold it."""
        pack = None
        try:
            pack = Pack(group, self._splits.train, self._splits.val, self._device)
            self._run(pack)
        except torch.OutOfMemoryError:
            return False
        finally:
            if pack is not None:
                for member, state in zip(group, pack.states(), strict=True):
                    member.state = state
            if self._device.accelerator == "gpu":
                torch.cuda.empty_cache()
        return True

    def _run(self, pack: Pack) -> None:
        schedule = pack.members[0].progress.schedule
        saved, pause = time.monotonic(), SECONDS_BETWEEN_CHECKPOINTS
        by_the_user = pack.members[0].config.trainer.checkpoint_every is not None
        while True:
            if self._is_evaluation_due(pack):
                self._evaluate(pack)
            late_enough = by_the_user or time.monotonic() - saved >= pause
            is_due = pack.step % schedule.checkpoint_every == 0 and pack.step > 0 and late_enough
            if self._interruption.asked or is_due:
                start = time.monotonic()
                self._keep(pack)
                saved = time.monotonic()
                pause = max(SECONDS_BETWEEN_CHECKPOINTS, PAUSE_FACTOR * (saved - start))
            self._interruption.raise_if_asked()
            if 2 * len(self._open(pack)) <= len(pack.members):
                return
            pack.train(schedule.next_pause(pack.step))
            if schedule.is_logged(pack.step):
                self._log_training(pack)

    @staticmethod
    def _open(pack: Pack) -> list[tuple[int, Member]]:
        return [(place, member) for place, member in enumerate(pack.members) if not member.progress.ended]

    def _is_evaluation_due(self, pack: Pack) -> bool:
        _, first = self._open(pack)[0]
        progress, step = first.progress, pack.step
        if progress.evaluated_at == step:
            return False
        if step == 0:
            return first.config.trainer.eval_at_start
        return progress.schedule.next_evaluation(step - 1) == step

    def _log_training(self, pack: Pack) -> None:
        steps, points = pack.window_steps, pack.training_points()
        for place, member in self._open(pack):
            try:
                member.progress.log_training(*points[place], steps)
            except TrialError as error:
                self._end(member, error)

    def _evaluate(self, pack: Pack) -> None:
        losses, accuracies = pack.evaluate()
        seconds, steps = pack.training_time()
        best = [False] * len(pack.members)
        for place, member in self._open(pack):
            try:
                best[place] = member.progress.log_evaluation(losses[place], accuracies[place], seconds, steps)
                self._keeper.evaluated(member)
            except TrialError as error:
                self._end(member, error)
        pack.keep(best)
        if done := [(place, member) for place, member in self._open(pack) if member.progress.done]:
            states = pack.states()
            for place, member in done:
                self._keeper.keep(member, states[place])
                self._end(member, None)

    def _keep(self, pack: Pack) -> None:
        states = pack.states()
        for place, member in self._open(pack):
            self._keeper.keep(member, states[place])

    def _end(self, member: Member, error: TrialError | None) -> None:
        member.progress.ended = True
        self._keeper.end(member, error)
