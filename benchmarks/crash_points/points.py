"""The points of a command at which it may be struck, and what it comes to after each."""

import errno
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.crash_points.disk import Disk, Image, digest, restore
from benchmarks.crash_points.runs import Ended, Evidence, Place
from benchmarks.crash_points.tracer import GO, KILL, Call, run_traced

TINY = (
    *("model=gru", "model.hidden_size=4", "data.batch_size=50"),
    *("trainer=cpu", "trainer.max_steps=4", "trainer.eval_every=2"),
)
SWEPT = ("seed=0,1", "hydra.launcher.slots=1", "sweep.report=false")
ARCHIVE = "sweep.archive=STORE/trials.parquet"
PHASES = "sweep.phases=[{seed:'5',optimizer.lr:'1e-3,1e-2'},{seed:'0'}]"
RATES = "optimizer.lr=tag(log,interval(1e-3,1e-1))"
FAULTS = {"kill": KILL, "ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "strict": GO, "ordered": GO}
POWER_CUTS = ("strict", "ordered")
TOLD_EVERY = 25  # points


@dataclass(frozen=True)
class Command:
    """What is run; the calls of `counted` are points: of all processes, of the first, or of those it forks.

    Args:
        arguments: STORE in one is the folder of the store.
        before: a command whose archive of trials lies in the store from the start.
    """

    arguments: tuple[str, ...]
    counted: str = "all"
    before: tuple[str, ...] = ()

    @property
    def is_sweep(self) -> bool:
        return "-m" in self.arguments


COMMANDS = {
    "trial": Command(TINY),
    "sweep": Command(("-m", *TINY, *SWEPT), "the parent"),
    "pack": Command(("-m", *TINY, *SWEPT, "hydra/launcher=packed", "hydra.launcher.max_pack=2"), "the pack"),
    "archive": Command(("-m", *TINY, *SWEPT, ARCHIVE), "the parent"),
    "take in": Command(("-m", *TINY, *SWEPT, ARCHIVE), "the parent", before=("-m", *TINY, *SWEPT, ARCHIVE)),
    "phases": Command(("-m", *TINY, *SWEPT[1:], PHASES), "the parent"),
    "search": Command(
        (
            *("-m", *TINY, *SWEPT[1:], RATES, "hydra/sweeper=optuna", "hydra.sweeper.n_trials=2"),
            *("hydra.sweeper.pruner=asha", "hydra.sweeper.startup_trials=1"),
        )
    ),
}


@dataclass
class Result:
    """What one fault came to at the points of one command."""

    kind: str
    fault: str
    points: int = 0
    tried: int = 0
    faults: list[str] = field(default_factory=list)


class Striker:
    """Counts the calls that are points, and answers one of them with a fault."""

    def __init__(self, counted: str, at: int = 0, answer: int = GO, then: Callable[[Call], None] | None = None) -> None:
        self._counted, self._at, self._answer, self._then = counted, at, answer, then
        self._first: int | None = None
        self.count = 0
        self.struck: Call | None = None

    def before(self, call: Call) -> int:
        self._first = self._first or call.process
        if self._counted != "all" and (self._counted == "the parent") != (call.process == self._first):
            return GO
        self.count += 1
        if self.count != self._at or self._answer == GO:
            return GO
        self.struck = call
        return self._answer

    def after(self, call: Call) -> None:
        if self._then is not None:
            self._then(call)


class Campaign:
    """Commands struck in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._place = Place(folder)

    def run(self, kind: str, command: Command, faults: Sequence[str], sample: int | None = None) -> list[Result]:
        """Strike a command with each fault at all of its points, or at a sample of so many."""
        self._place.keep_archive(command.before)
        calm = self._place.undisturbed(command.arguments)
        results = []
        for fault in faults:
            strike = self._cut if fault in POWER_CUTS else self._struck
            results.append(found := strike(command, Result(kind, fault), sample, calm))
            done = f"{kind} {fault}: {found.points} points, {found.tried} tried, {len(found.faults)} failed"
            print(done, file=sys.stderr, flush=True)
        return results

    def _struck(self, command: Command, result: Result, sample: int | None, calm: Evidence) -> Result:
        self._place.reset()
        counter = Striker(command.counted)
        run_traced(self._place.body(command.arguments), self._place.store, counter)
        result.points = counter.count
        for at in spread(counter.count, sample):
            self._place.reset()
            striker = Striker(command.counted, at + 1, FAULTS[result.fault])
            code = run_traced(self._place.body(command.arguments), self._place.store, striker)
            if striker.struck is None:  # a run may have some calls less than another
                continue
            result.tried += 1
            first = self._place.ended(code)
            faults = [] if result.fault == "kill" else _unclean(first)
            faults += self._given_again(command, calm, None if result.fault == "kill" else first)
            self._note(result, f"{at + 1} ({self._words(striker.struck)})", faults)
        return result

    def _cut(self, command: Command, result: Result, sample: int | None, calm: Evidence) -> Result:
        images: list[tuple[int, str, Image]] = []
        seen: set[str] = set()
        self._place.reset()
        disk = Disk(self._place.store)

        def then(call: Call) -> None:
            disk.apply(call)
            left = disk.left(result.fault)
            if (name := digest(left)) not in seen:
                seen.add(name)
                images.append((striker.count, self._words(call), left))

        striker = Striker("all", then=then)
        run_traced(self._place.body(command.arguments), self._place.store, striker)
        result.points = len(images)
        for place in spread(len(images), sample):
            at, words, left = images[place]
            restore(self._place.store, left)
            self._place.reset_scratch()
            result.tried += 1
            self._note(result, f"after {at} ({words})", self._given_again(command, calm, None, power=True))
        return result

    def _given_again(self, command: Command, calm: Evidence, first: Ended | None, power: bool = False) -> list[str]:
        """Give the command again, unless it was a trial and that is done; what is wrong then."""
        place = self._place
        if first is not None and first.code == 0 and not command.is_sweep:
            place.doctor()
        elif command.is_sweep or any(place.trial_folders()) or _differences(calm, place.evidence(), power):
            ended = place.run(command.arguments)
            if ended.code:
                return [f"the same command again ends with {ended.code}: {ended.said.strip()[-300:]}"]
        return _differences(calm, place.evidence(), power)

    def _words(self, call: Call) -> str:
        path = re.sub("[0-9a-f]{32}", "RUN", os.path.relpath(call.path, self._place.store))
        return f"{call.name} {re.sub('(?<=json|ckpt|ered|new-)[a-z0-9_]{8}$', '…', path)}"

    def _note(self, result: Result, where: str, faults: Sequence[str]) -> None:
        if faults:
            result.faults.append(f"{result.kind} {result.fault} {where}: {'; '.join(faults)}")
            print(result.faults[-1], file=sys.stderr, flush=True)
        if result.tried % TOLD_EVERY == 0:
            tried = f"{result.tried} of {result.points} points tried, {len(result.faults)} failed"
            print(f"{result.kind} {result.fault}: {tried}", file=sys.stderr, flush=True)


def spread(count: int, sample: int | None) -> list[int]:
    """So many of the numbers below `count`, evenly spread; all of them if there is no sample."""
    if sample is None or sample >= count:
        return list(range(count))
    return [(2 * place + 1) * count // (2 * sample) for place in range(sample)]


def _unclean(ended: Ended) -> list[str]:
    """What is wrong with how a command took an error."""
    if ended.code not in (0, 1, 2):
        return [f"the error ended it with {ended.code}: {ended.said.strip()[-300:]}"]
    if re.search("[Tt]raceback", ended.said):
        return [f"a raw exception: {ended.said.strip()[-300:]}"]
    return []


def _differences(calm: Evidence, found: Evidence, power: bool) -> list[str]:
    faults = [f"a run is {it}" for it in found.others if not (power and " KILLED " in it)]
    for trial in calm.finished:
        if found.finished[trial] != 1:
            faults.append(f"a trial has {found.finished[trial]} FINISHED runs")
            continue
        points, others = calm.points[trial], found.points[trial]
        faults += [f"other points of {key}" for key in points if points[key] != others.get(key)]
        files, others_files = calm.files[trial], found.files[trial]
        for name in sorted({*files, *others_files} - ({"train.log"} if power else set())):  # its lines are not synced
            if files.get(name) != others_files.get(name):
                faults.append(f"{name} is {'other' if name in others_files else 'missing'}")
    if calm.parents != found.parents:
        faults.append(f"sweeps {found.parents}")
    if calm.archive != found.archive:
        faults.append(f"the archive has {found.archive}")
    if calm.study != found.study:
        faults.append(f"study {found.study}")
    faults += [f"left over {name}" for name in found.leftovers if name not in calm.leftovers]
    return faults
