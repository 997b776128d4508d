"""Trials of one shape trained as one program, each as an MLflow run of its own."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from recurrent_cells.config.messages import explain
from recurrent_cells.config.schema import Config
from recurrent_cells.errors import DeliveryError, Halted, Interrupted, TrialBusy
from recurrent_cells.interrupts import Interruption, handled
from recurrent_cells.tracking.journal import Courier
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.recovery import recover
from recurrent_cells.tracking.run import under_way
from recurrent_cells.training.fit import Fit
from recurrent_cells.training.member import Member
from recurrent_cells.trial.check import check_trial
from recurrent_cells.trial.claim import already_finished, claim, result_of
from recurrent_cells.trial.fingerprint import fingerprint
from recurrent_cells.trial.life import Surroundings, finish, opened, surroundings
from recurrent_cells.trial.outcome import Outcome, outcome_of

# Takes what became of a trial, by its place.
Tell = Callable[[int, Outcome], None]


def train_pack(configs: Sequence[Config], most: int | None, tell: Tell) -> None:
    """Train, test and end the trials of checked configs of one shape, in as few programs as the memory allows.

    Args:
        most: the most trials of a program; None: as many as the GPU's memory holds.
        tell: is called once for each trial, when it has ended.

    Raises:
        Interrupted: after a signal, every state being saved.
    """
    around = surroundings(configs[0])
    check_trial(configs[0])
    if configs[0].sweep.parent is None:
        recover(around.store)
    stacked = around.device.precision != "16-mixed"  # each needs a gradient scaler of its own
    most = most if stacked else 1
    with handled() as interruption, under_way(around.store, configs[0].sweep.parent) as courier:
        runs = _Runs(around, courier, interruption, tell)
        try:
            with interruption.deferred():
                for place, config in enumerate(configs):
                    runs.open(place, config)
            interruption.raise_if_asked()
            if stacked:
                runs.tag_as_pack()
            Fit(around.data, around.task, around.device, interruption, runs.end, most, stacked)(runs.members)
        except BaseException as error:
            runs.end_all(error)
            raise


class _Runs:
    """The open runs of a pack's trials."""

    def __init__(self, around: Surroundings, courier: Courier, interruption: Interruption, tell: Tell) -> None:
        self._around, self._courier, self._interruption, self._tell = around, courier, interruption, tell
        self._open: dict[Member, tuple[int, ExitStack]] = {}

    @property
    def members(self) -> list[Member]:
        return list(self._open)

    def open(self, place: int, config: Config) -> None:
        """Claim a trial and open its run, or tell what became of the trial elsewhere."""
        held, store = ExitStack(), self._around.store
        trial = fingerprint(config, self._around.splits.digest)
        try:
            held.enter_context(claim(store, trial))
            finished = already_finished(store, config, trial)
            if finished is not None:
                held.close()
                self._tell(place, Outcome("finished", result_of(finished)))
                return
            member = held.enter_context(opened(config, self._around, self._courier))
        except TrialBusy as busy:
            held.close()
            self._tell(place, Outcome("busy", error=str(busy)))
        except Halted as halted:
            held.close()
            self._tell(place, outcome_of(halted))
        except DeliveryError as error:
            held.close()
            self._tell(place, Outcome("killed", error=str(error)))
        else:
            self._open[member] = place, held

    def tag_as_pack(self) -> None:
        """Have each run say with how many others it is trained, and in which precision that is."""
        for member in self._open:
            member.run.tags[Tag.PACK] = str(len(self._open))

    def end(self, member: Member, error: BaseException | None = None) -> None:
        """Finish a trained member, or end the run with an error."""
        place, held = self._open.pop(member)
        error = error or member.error
        try:
            with held:
                if error is not None:
                    raise error
                outcome = Outcome("finished", finish(member, self._around, self._interruption))
        except (Interrupted, DeliveryError) as cut:
            outcome, error = Outcome("killed", error=str(cut)), cut
        except Halted as halted:
            outcome = outcome_of(halted)
        except Exception as fault:
            outcome = Outcome("failed", error=explain(fault))
        self._tell(place, outcome)
        if isinstance(error, Interrupted):
            raise error

    def end_all(self, error: BaseException) -> None:
        """End all open runs, with what the process could not go on with."""
        for member in self.members:
            try:
                self.end(member, error)
            except Interrupted:
                continue
