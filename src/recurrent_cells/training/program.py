"""K trials of one shape trained step by step as one program; a trial alone is a pack of one."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from recurrent_cells.data.batches import Batches
from recurrent_cells.data.splits import Splits
from recurrent_cells.errors import TrialError
from recurrent_cells.tasks import Task
from recurrent_cells.training.device import Device, to_device
from recurrent_cells.training.graph import graphed
from recurrent_cells.training.member import Member
from recurrent_cells.training.networks import Networks, SingleNetwork, StackedNetworks
from recurrent_cells.training.schedule import Schedule
from recurrent_cells.training.tally import Tally
from recurrent_cells.training.window import Stopwatch, TrainWindow

# Batches of several steps are gathered at once up to so many numbers: one call instead of many.
MOST_GATHERED = 1 << 24
# The first step, that after the last, and the inputs of steps that are prepared.
NOTHING_AHEAD: tuple[int, int, Iterable[Any]] = (0, 0, ())


class Program:
    """Trains and evaluates its members, who stand at the same step; place k is that of member k everywhere.

    Every random draw is a function of a trial's seed and the step: `states` has all there is to go on from.

    Args:
        data: on the device and in the type in which is computed.
        stacked: a single member is computed as K are, to the bit.
    """

    def __init__(
        self, members: Sequence[Member], data: Splits, task: Task, device: Device, stacked: bool = False
    ) -> None:
        self.members, self.task = members, task
        sequences = data.train.sequences
        self._train, self._batch_size = data.train, members[0].config.data.batch_size
        self._is_stacked = stacked or len(members) > 1
        if not self._is_stacked:
            self.networks: Networks = SingleNetwork(members[0], sequences.device, sequences.dtype, device.precision)
        else:
            self.networks = StackedNetworks(members, sequences.device, sequences.dtype)
        self._batches = [
            Batches(data.train, self._batch_size, member.config.data.order, member.config.seed) for member in members
        ]
        trainer = members[0].config.trainer
        # In a pack the widest of K batches would leave nothing to cut off.
        self._cuts = not self._is_stacked and members[0].config.data.order == "by_length"
        self._to_be_graphed = (
            trainer.cuda_graph and not self._cuts and sequences.device.type == "cuda" and not trainer.detect_anomaly
        )
        self._compute, self._is_graphed = self._gradients, False
        self._window, self._stopwatch, self._ahead = TrainWindow(), Stopwatch(), NOTHING_AHEAD
        windows = [member.state["window"] for member in members if member.state is not None]
        if windows:
            self._window.load_states(windows, sequences.device)

    @property
    def schedule(self) -> Schedule:
        return self.members[0].progress.schedule

    @property
    def step(self) -> int:
        return max(member.progress.step for member in self.members)  # a member that has ended stays behind

    @property
    def open(self) -> list[tuple[int, Member]]:
        """The members that have not ended, with their places."""
        return [(place, member) for place, member in enumerate(self.members) if not member.ended]

    @property
    def is_done(self) -> bool:
        """Whether half of the members have ended: those left are fewer than what is computed."""
        return 2 * len(self.open) <= len(self.members)

    @property
    def is_evaluation_due(self) -> bool:
        """Whether the members stand where the schedule has an evaluation that was not done."""
        _, first = self.open[0]
        step = self.step
        if first.progress.evaluated_at == step:
            return False
        return first.config.trainer.eval_at_start if step == 0 else self.schedule.next_evaluation(step - 1) == step

    @property
    def _is_one_asked_to_stop(self) -> bool:
        return any(member.run.stop is not None for _, member in self.open)

    # --- training -----------------------------------------------------------------------------------------

    def train(self, stop: int) -> None:
        """Train on to step `stop`, or to that at which the time of the trial is used or a member is asked to stop.

        After an exception all stand at the last step that was taken whole.
        """
        start, taken = self.step, []
        try:
            with self._stopwatch:
                for step, batch in zip(range(start, stop), self._prepared(start, stop), strict=True):
                    taken.append((*self._take_step(step, *batch), batch[1]))
                    if self.members[0].progress.is_time_used or self._is_one_asked_to_stop:
                        break
                else:
                    self._look_ahead(stop)
        finally:
            if taken:
                losses, answers, norms, answered = zip(*taken, strict=True)
                scores = self._scores(answers, answered)
                known_norms = None if norms[0] is None else torch.stack(norms)
                self._window.add(torch.stack(losses), scores, known_norms, self._batch_size)
                self._stopwatch.steps += len(taken)
            for _, member in self.open:
                member.progress.reach(start + len(taken))

    def _scores(self, answers: tuple[Tensor, ...], targets: tuple[Tensor, ...]) -> Tensor:
        """The sum of the metric over the sequences of each of S steps, (S[, K])."""
        if self._cuts:  # steps differ in width
            pairs = zip(answers, targets, strict=True)
            return torch.stack([self.task.outcomes(*pair).sum(dim=-1) for pair in pairs])
        return self.task.outcomes(torch.stack(answers), torch.stack(targets)).sum(dim=-1)

    def _prepared(self, start: int, stop: int) -> Iterable[tuple[Tensor, ...]]:
        """The inputs of each step, the networks being ready for these steps."""
        (first, last, inputs), self._ahead = self._ahead, NOTHING_AHEAD
        if (first, last) == (start, stop):
            return inputs
        self.networks.prepare(start, stop)
        return self._inputs(start, stop)

    def _look_ahead(self, start: int) -> None:
        """Prepare the steps up to the next pause while a GPU is still at work on those before."""
        if self._train.sequences.device.type == "cuda" and start < self.schedule.total_steps:
            stop = self.schedule.next_pause(start)
            self._ahead = start, stop, self._prepared(start, stop)

    def _inputs(self, start: int, stop: int) -> Iterable[tuple[Tensor, ...]]:
        """Sequences ([K,] B, T, F), targets ([K,] B), and lengths ([K,] B) where there are any, of each step."""
        sequences, targets, *_ = parts = self._train.parts
        indices = torch.stack([batches.indices(start, stop) for batches in self._batches], dim=1)  # (S, K, B)
        if self._cuts:
            widths = self._batches[0].widths(indices)
            return map(self._cut, to_device(indices.squeeze(1), targets.device), widths)
        indices = to_device(indices if self._is_stacked else indices.squeeze(1), targets.device)
        if indices.numel() * sequences[0].numel() > MOST_GATHERED:
            return (tuple(part[places] for part in parts) for places in indices)
        flat = indices.flatten()
        gathered = (part.index_select(0, flat).unflatten(0, indices.shape) for part in parts)
        return zip(*gathered, strict=True)

    def _cut(self, places: Tensor, width: int) -> tuple[Tensor, ...]:
        """Sequences (B, width, F), targets and lengths (B,) at places of the split, of which none is longer."""
        sequences, targets, *lengths = (part[places] for part in self._train.parts)
        return sequences[:, :width], targets[:, :width] if self.task.targets.of_steps else targets, *lengths

    def _take_step(self, step: int, *batch: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """One optimiser step of all; losses ([K]), answers ([K,] B, C), and gradient norms ([K]) if any is clipped."""
        self.networks.seed_dropout(step)
        if self._to_be_graphed:
            recorded = graphed(self._gradients, batch)
            self._to_be_graphed, self._is_graphed = False, recorded is not None
            self._compute = recorded or self._gradients
        losses, answers, *gradients = self._compute(*batch)
        if self._is_graphed:  # the next step writes into the same memory
            losses, answers = losses.clone(), answers.clone()
        return losses, answers, self.networks.update(gradients, step)

    def _gradients(self, sequences: Tensor, targets: Tensor, *lengths: Tensor) -> tuple[Tensor, ...]:
        """Losses, answers, and the gradients of all trained tensors."""
        outputs = self.networks.module(sequences, *lengths)
        losses = self.task.loss(outputs, targets, *lengths)
        with torch.autocast("cuda", enabled=False):  # else products on the way back would be in its type, not in theirs
            gradients = torch.autograd.grad(self.networks.total(losses), self.networks.trained)
        return losses.detach(), self.task.final(outputs, *lengths).detach(), *gradients

    def rehearse(self) -> None:
        """Take a step for the memory that it takes; the program is of no use after that."""
        self._to_be_graphed = False
        self.networks.prepare(0, 1)
        for batch in self._inputs(0, 1):
            self._take_step(0, *batch)

    def log_training(self) -> None:
        """Write a point of the training curves of each member; a member whose loss is not finite fails.

        Raises:
            TrialError: if that leaves none to train.
        """
        points = self._window.read(self.members[0].config.trainer.log_train == "batch")
        steps = self._window.steps
        self._window.reset()
        for place, member in self.open:
            try:
                member.progress.log_training(*points[place], steps)
            except TrialError as error:
                self._fail(member, error)

    # --- evaluation ---------------------------------------------------------------------------------------

    def outputs(self, sequences: Tensor, *lengths: Tensor) -> Tensor:
        """What each member answers to the same sequences (B, T, F) with lengths (B,): ([K,] B, C) or ([K,] B, T, C)."""
        inputs = (sequences, *lengths)
        if self._is_stacked:
            inputs = tuple(it.expand(len(self.members), *it.shape) for it in inputs)
        outputs: Tensor = self.networks.module(*inputs)
        return outputs

    def log_evaluation(self, tally: Tally) -> None:
        """Write a point of the validation curves of each member, and keep the weights of those that are best so far.

        Raises:
            TrialError: if a loss that is not finite leaves none to train.
        """
        seconds, steps = self._stopwatch.lap()
        best = [False] * len(self.members)
        for place, member in self.open:
            try:
                best[place] = member.progress.log_evaluation(tally.losses[place], tally.scores[place], seconds, steps)
            except TrialError as error:
                self._fail(member, error)
        self.networks.keep_best(best)

    def end(self, members: Sequence[Member]) -> None:
        """End members, who keep their state of now while others go on."""
        states = self.states() if members else []
        for place, member in self.open:
            if member in members:
                member.state, member.ended = states[place], True

    def _fail(self, member: Member, error: TrialError) -> None:
        member.ended, member.error = True, error
        if not self.open:
            raise error

    # --- states -------------------------------------------------------------------------------------------

    def states(self) -> list[dict[str, Any]]:
        """All that the training of each member depends on, as tensors and plain values."""
        contents = []
        windows = self._window.states(len(self.members))
        for member, networks, window in zip(self.members, self.networks.states(), windows, strict=True):
            content = member.progress.state_dict() | networks | {"window": window, "best": None}
            best = member.progress.best
            if best is not None:
                content["best"] = {"step": best.step, "value": best.value, "weights": networks["best"]}
            contents.append(content)
        return contents
