"""Train trials of one shape as one program, each as an MLflow run of its own."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from recurrent_cells.config.messages import explain
from recurrent_cells.config.schema import Config
from recurrent_cells.data.splits import Splits, load_splits
from recurrent_cells.errors import DeliveryError, Interrupted, TrialBusy
from recurrent_cells.interrupts import handled
from recurrent_cells.models.classifier import build_classifier
from recurrent_cells.tracking.journal import Courier
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.patience import patiently
from recurrent_cells.tracking.run import TrialRun, trial_run, under_way
from recurrent_cells.tracking.store import Store, open_store
from recurrent_cells.training import state
from recurrent_cells.training.artifacts import write_config
from recurrent_cells.training.device import Device, resolve_device, use_determinism, use_tf32, use_threads
from recurrent_cells.training.packs.fit import PackFit
from recurrent_cells.training.packs.pack import Member
from recurrent_cells.training.progress import Progress
from recurrent_cells.training.schedule import Schedule
from recurrent_cells.trial.claim import already_finished, claim, result_of
from recurrent_cells.trial.outcome import Outcome
from recurrent_cells.trial.spec import run_spec

log = logging.getLogger(__name__)

# Of a trial by its place: the run id of one that is trained and waits to be ended, or what became of it.
Tell = Callable[[int, "str | Outcome"], None]


def train_pack(configs: Sequence[Config], most: int | None, tell: Tell) -> None:
    """Train the trials of checked configs of one shape in as few packs as their number and the memory allow.

    The run of a trained trial ends as KILLED with its last state: when the same config is trained again there is
    nothing left to do but its test, its files and its end.

    Args:
        most: the most trials of a pack; None: as many as the GPU's memory holds.
        tell: is told of each trial, once.

    Raises:
        Interrupted: after a signal, every state being saved.
    """
    first = configs[0]
    use_threads(first.trainer.threads)
    use_tf32(first.trainer.tf32)
    use_determinism(first.trainer.deterministic)
    device = resolve_device(first.trainer)
    splits = load_splits(first.data)
    patience = first.tracking.patience
    store = patiently(lambda: open_store(first.tracking.experiment, patience), patience)
    with handled() as interruption, under_way(store, first.sweep.parent) as courier:
        runs = _Runs(store, splits, device, courier, tell)
        fit = PackFit(splits, device, runs, interruption, most)
        try:
            with interruption.deferred():
                for place, config in enumerate(configs):
                    runs.open(place, config)
                interruption.raise_if_asked()
                if device.precision == "16-mixed":  # each needs a scaler of its own
                    runs.leave_untrained()
                else:
                    fit(runs.members)
        except BaseException as error:
            runs.end_all(error)
            raise


@dataclass
class _Open:
    place: int
    member: Member
    run: TrialRun
    held: ExitStack


class _Runs:
    """The open runs of a pack's members."""

    def __init__(self, store: Store, splits: Splits, device: Device, courier: Courier, tell: Tell) -> None:
        self._store, self._splits, self._device, self._courier = store, splits, device, courier
        self._tell = tell
        self._open: dict[int, _Open] = {}
        self.members: list[Member] = []

    def open(self, place: int, config: Config) -> None:
        """Claim a trial and open its run, or tell why not."""
        held = ExitStack()
        try:
            classifier = build_classifier(
                config.model, self._splits.num_features, self._splits.num_classes, config.seed
            )
            spec = run_spec(config, self._splits, classifier, self._device)
            held.enter_context(claim(self._store, spec.fingerprint))
            finished = already_finished(self._store, config, spec.fingerprint)
            if finished is not None:
                held.close()
                self._tell(place, Outcome("finished", result_of(finished)))
                return
            run = held.enter_context(trial_run(self._store, spec, self._courier))
        except TrialBusy as busy:
            held.close()
            self._tell(place, Outcome("busy", error=str(busy)))
            return
        schedule = Schedule.from_config(config.trainer, len(self._splits.train), config.data.batch_size)
        member = Member(config, classifier, Progress(config, schedule, run.journal.write))
        self._open[id(member)] = _Open(place, member, run, held)
        try:
            run.keep(lambda: write_config(run.artifacts, config))
            if run.state_file.exists():
                member.state = state.load(run.state_file)
                member.progress.load_state_dict(member.state)
        except Exception as error:
            self.end(member, error)
            return
        if member.progress.done:
            self.end(member, None)
        else:
            self.members.append(member)

    def keep(self, member: Member, content: dict[str, Any]) -> None:
        self._open[id(member)].run.checkpoint(lambda path: state.save(content, path))

    def evaluated(self, member: Member) -> None:
        own = {"run_id": self._open[id(member)].run.run_id, "only_file": True}
        log.info(member.progress.summary(), extra=own)

    def end(self, member: Member, error: BaseException | None) -> None:
        """End a run with an error, or as one that is trained and waits for its test."""
        it = self._open.pop(id(member))
        it.run.tags[Tag.PACK] = str(len(self.members))
        end = DeliveryError("trained in a pack, its test is to come") if error is None else error
        status = "killed" if isinstance(end, Interrupted | DeliveryError) else "failed"
        told: str | Outcome = Outcome(status, error=str(end) if status == "killed" else explain(end))
        try:
            it.held.__exit__(type(end), end, end.__traceback__)
        except DeliveryError as undelivered:
            told = Outcome("killed", error=str(undelivered))
        self._tell(it.place, it.run.run_id if error is None else told)

    def leave_untrained(self) -> None:
        """Leave all to the processes that would end them: they train what is not trained."""
        for member in self.members:
            self.end(member, None)

    def end_all(self, error: BaseException) -> None:
        for it in list(self._open.values()):
            self.end(it.member, error)
