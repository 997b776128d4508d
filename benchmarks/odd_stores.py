"""Train, crown, move and read stores at odd paths; sweeps over clocks that jump; challengers in every order.

    python -m benchmarks.odd_stores --write benchmarks/results/stores.md

Commands run in forks of this process, whose clock may be set; reading without the right to write needs root, which
becomes another user.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

from benchmarks.record import machine, write_result
from benchmarks.turns import Turns
from recurrent_cells.cli.train import main as main_of_train
from recurrent_cells.tracking import database, registry
from recurrent_cells.tracking.artifacts import read_checkpoint
from recurrent_cells.tracking.queries import best_by_validation, trial_records
from recurrent_cells.tracking.store import Store, open_store

EXPERIMENT = "recurrent-cells"
NAMES = (
    *("a b", "a#b", "a%20b", "a'b", 'a"b', "ä日本", "a\nb", "a;b&c=d", "a%b", "a%2Fb", "a@b:c", "a\\b"),
    *("$HOME", " a ", "[ab]", "{a}", "a|b", "~a", "-a", "x" * 200, "plain"),
)
TRIAL = ("trainer=cpu", "model.hidden_size=4", "trainer.max_steps=5", "data.train_size=200", "data.val_size=100")
SWEEP = ("-m", *TRIAL, "seed=0,1", "sweep.report=false", "registry=false")
JUMPS = ((0, -1), (1, 0), (24, -24), (0, 24), (-24, 0))  # hours, at a sweep and when all is trained again
NOBODY = 65534


def command(uri: str, *arguments: str, hours: float = 0) -> bool:
    """Whether a training command succeeds whose clock is ahead."""

    def train() -> None:
        now = time.time
        time.time = lambda: now() + 3600 * hours
        os.environ["MLFLOW_TRACKING_URI"] = uri
        with Path(os.devnull).open("w") as nothing:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
        sys.argv[1:] = []
        try:
            main_of_train(arguments)
        except SystemExit as end:
            if end.code:
                raise

    return in_a_process(train)


def opened(folder: Path, *, reading: bool = False) -> Store:
    os.environ["MLFLOW_TRACKING_URI"] = database.uri_of(folder / "mlflow.db")
    return open_store(EXPERIMENT, 0, reading=reading)


def check_champion(folder: Path, *, reading: bool = False) -> None:
    """Raises whatever is raised if the champion's weights cannot be had, to the byte."""
    store = opened(folder, reading=reading)
    (champion,) = registry.find_champions(store).values()
    read_checkpoint(store, champion)


def in_a_process(act: Callable[[], object], user: int | None = None) -> bool:
    """Whether an action of a process of its own, of another user if one is named, succeeds."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if user is not None:
                os.setgid(user)
                os.setuid(user)
            act()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def faults_at(name: str, scratch: Path, trained: Path) -> list[str]:
    """What does not work of a store at a path: the first is made by the command, others are that one moved there."""
    folder, moved = scratch / "at" / name, scratch / "moved to" / name
    shutil.copytree(trained, folder)
    moved.parent.mkdir(parents=True, exist_ok=True)

    def train_and_crown() -> None:
        store = opened(folder)
        before = len(trial_records(store))
        store.disconnect()
        if not command(store.uri, *TRIAL, "seed=7"):
            raise RuntimeError("the command failed")
        records = trial_records(store)
        best = best_by_validation(records)
        if best is None or len(records) != before + 1:
            raise RuntimeError("the trial is not there")
        registry.crown(store, best)

    steps: list[tuple[str, Callable[[], bool]]] = [
        ("train and crown", lambda: in_a_process(train_and_crown)),
        ("load the champion", lambda: in_a_process(lambda: check_champion(folder))),
        ("move", lambda: bool(folder.rename(moved))),
        ("read where it was moved, without the right to write", lambda: read_as_nobody(moved)),
        ("follow it", lambda: in_a_process(lambda: check_champion(moved))),
        ("leave the old place alone", lambda: not folder.exists()),
    ]
    return [f"{name!r}: {what}" for what, works in steps if not works()]


def read_as_nobody(folder: Path) -> bool:
    return in_a_process(lambda: check_champion(folder, reading=True), NOBODY)


def faults_over(jump: tuple[int, int], folder: Path) -> list[str]:
    """What goes wrong with a sweep, trained all again after the clock has jumped, and then asked for once more."""
    uri = database.uri_of(folder / "mlflow.db")
    succeeded = [
        command(uri, *SWEEP, hours=jump[0]),
        command(uri, *SWEEP, "sweep.rerun=all", hours=jump[1]),
        command(uri, *SWEEP, hours=jump[1]),
    ]
    runs = Counter((record.params["seed"], record.status) for record in trial_records(opened(folder)))
    expected = {("0", "FINISHED"): 2, ("1", "FINISHED"): 2}
    return [] if all(succeeded) and runs == expected else [f"{jump}: succeeded {succeeded}, runs {dict(runs)}"]


def worse_champion(store: Store, seed: int) -> bool:
    """Whether of two that challenge at once, their requests in an order that a seed draws, the worse one wins."""
    store.client.rename_registered_model(EXPERIMENT, f"before-{seed}")
    challengers = sorted(trial_records(store), key=lambda record: record.rank)[-2:]
    turns = Turns(len(challengers), seed)
    with ThreadPoolExecutor(len(challengers)) as pool:
        list(pool.map(lambda record: turns.take(store, lambda one: registry.crown(one, record)), challengers))
    (champion,) = registry.find_champions(store).values()
    return champion.run_id != challengers[-1].run_id


def main() -> None:
    import recurrent_cells.trial.life  # noqa: F401  (here, once for all forks: it takes seconds)

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=100, help="orders of the requests of two challengers")
    parser.add_argument("--names", type=int, default=len(NAMES), help="how many of the odd names")
    parser.add_argument("--jumps", type=int, default=len(JUMPS), help="how many of the jumps")
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        scratch.chmod(0o755)
        trained = scratch / "trained"
        command(database.uri_of(trained / "mlflow.db"), "-m", *TRIAL, "seed=range(0,6)", "sweep.report=false")
        names, jumps = NAMES[: arguments.names], JUMPS[: arguments.jumps]
        at_paths = [fault for odd in names for fault in faults_at(odd, scratch, trained)]
        by_clocks = [fault for place, jump in enumerate(jumps) for fault in faults_over(jump, scratch / str(place))]
        store = opened(trained)
        registry.alone = lambda *_: nullcontext()  # type: ignore[assignment]  # as machines without a common lock
        worse = [f"order {seed}" for seed in range(arguments.orders) if worse_champion(store, seed)]
    rows = [
        ("stores at odd paths: trained in, crowned, moved, read by who may not write, followed", len(names), at_paths),
        ("clocks that jump between a sweep and training it all again", len(jumps), by_clocks),
        ("orders of the requests of two challengers without a common lock", arguments.orders, worse),
    ]
    given = f"--names {len(names)} --jumps {len(jumps)} --orders {arguments.orders}"
    lines = [
        "# Stores at odd paths, clocks that jump, challengers at once",
        "",
        f"`python -m benchmarks.odd_stores {given}`: {machine()}",
        "",
        "| tried | times | failed |",
        "|---|---|---|",
        *(f"| {what} | {times} | {len(failed)} |" for what, times, failed in rows),
        "",
        f"Names: {', '.join(f'`{odd!r}`' if len(odd) < 20 else f'{len(odd)} letters' for odd in names)}.",
        f"Hours that clocks were ahead, at the sweep and after: {', '.join(f'{a} and {b}' for a, b in jumps)}.",
        *(f"- {fault}" for _, _, failed in rows for fault in failed),
        "",
    ]
    write_result("\n".join(lines), arguments.write)
    sys.exit(any(failed for _, _, failed in rows))


if __name__ == "__main__":
    main()
