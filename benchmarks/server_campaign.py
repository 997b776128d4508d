"""Kill an MLflow server, and the PostgreSQL behind it, in turn while sweeps, packs and searches write to them.

    python -m benchmarks.server_campaign --write benchmarks/results/server_campaign.md

Needs the extra `server` and PostgreSQL's programs for the second half.
"""

import argparse
import random
import shlex
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.endings import end_in_order
from benchmarks.postgres import Process, tracking_server
from benchmarks.record import machine, write_result
from benchmarks.store_campaign import (
    Server,
    Trace,
    Verdict,
    compare,
    finish,
    read_back,
    start,
    store_at,
    trace,
    wait_until,
)
from recurrent_cells.tracking.queries import trial_records

TRIAL = (
    *("trainer=cpu", "model.hidden_size=16", "trainer.max_epochs=8", "trainer.log_every=5"),
    *("trainer.checkpoint_every=20", "sweep.report=false"),
)
SWEEP = ("-m", "model=simple_rnn,lstm", "seed=0,1", *TRIAL)
SEARCH = (
    *("-m", "hydra/sweeper=optuna", "model=simple_rnn,gru", "optimizer.lr=tag(log,interval(1e-3,3e-2))", *TRIAL),
    *("hydra.sweeper.n_trials=4", "hydra.sweeper.startup_trials=2", "hydra.sweeper.pruner=asha"),
    "hydra.launcher.slots=1",
)
COMMANDS = {
    "sweep": SWEEP,
    "pack": (*SWEEP, "hydra/launcher=packed", "hydra.launcher.max_pack=4"),
    "search": SEARCH,
}
STORES = ("SQLite", "PostgreSQL")


@contextmanager
def served(folder: Path, store: str) -> Iterator[tuple[str, Mapping[str, Process | Server]]]:
    """A tracking server: its address, and what may be killed of it."""
    if store == "PostgreSQL":
        with tracking_server(folder) as running:
            yield running.uri, running.processes
        return
    server = Server(folder)
    try:
        server.start()
        yield server.uri, {"the server": server}
    finally:
        server.kill()


def disturbed(
    folder: Path, store: str, kind: str, expected: Mapping[str, Trace], chance: random.Random, kills: int
) -> Verdict:
    """A command whose server, and database, are killed in turn, so many times in all, and started again."""
    verdict, killed, away = Verdict(f"{kind}, {store}"), Counter[str](), 0.0
    command = (*COMMANDS[kind], "tracking.patience=300")
    place = folder / f"{kind}-{store}"
    with served(place, store) as (uri, processes):
        running = start(command, uri, folder / f"{place.name}.log")
        wait_until(lambda: running.poll() is not None or bool(trial_records(store_at(uri))), 600)
        while running.poll() is None and sum(killed.values()) < kills:
            time.sleep(chance.uniform(1, 10))
            if running.poll() is not None:
                break
            name = list(processes)[sum(killed.values()) % len(processes)]
            since = time.monotonic()
            processes[name].kill()
            time.sleep(chance.uniform(0, 4))
            processes[name].start()
            killed[name] += 1
            away += time.monotonic() - since
        finish(running, lambda: start(command, uri, folder / f"{place.name}.log"), verdict)
        read_back(uri, folder / "doctor.log", verdict)
        compare(store_at(uri), dict(expected), verdict)
        shutil.rmtree(store_at(uri).folder)
    if sum(killed.values()) < kills:
        verdict.faults.append(f"only {sum(killed.values())} kills before it was done")
    verdict.done = f"{', '.join(f'{count} x {name}' for name, count in killed.items())}; {away:.0f} s away in all"
    return verdict


def undisturbed(folder: Path, kind: str) -> dict[str, Trace]:
    """What a command leaves in a file of SQLite."""
    uri, log = f"sqlite:///{folder}/calm-{kind}/mlflow.db", folder / f"calm-{kind}.log"
    if start(COMMANDS[kind], uri, log).wait() != 0:
        sys.exit(f"the undisturbed {kind} failed:\n{log.read_text()}")
    calm = store_at(uri)
    return {record.fingerprint: trace(calm, record) for record in trial_records(calm)}


def report(verdicts: Sequence[Verdict], given: str, seconds: float) -> str:
    lines = [
        "# A tracking server that is killed",
        "",
        f"`python -m benchmarks.server_campaign {given}`. SIGKILL to an MLflow server with all its workers, and to the "
        "PostgreSQL behind it, in turn at random moments, each started again; the command is given once. Held against "
        "the same into a file of SQLite, undisturbed: every metric point (of epoch_seconds and samples_per_second the "
        "steps), one FINISHED run a trial and no other, its artifacts by name, nothing RUNNING; once the doctor has "
        "read the copies back, no folder left.",
        "",
        "| command, store | killed | trials | starts | points | faults |",
        "|---|---|---|---|---|---|",
        *(
            f"| {it.what} | {it.done} | {it.trials} | {it.starts} | {it.points:,} | {'; '.join(it.faults) or '0'} |"
            for it in verdicts
        ),
        "",
        *(f"- {kind}: `python -m src.train {shlex.join(command)}`" for kind, command in COMMANDS.items()),
        "",
        f"{seconds:.0f} s; {machine()}",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=6, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stores", nargs="*", choices=STORES, default=STORES)
    parser.add_argument("--only", nargs="*", choices=list(COMMANDS), default=list(COMMANDS), help="kinds of commands")
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    arguments, given = parser.parse_args(), shlex.join(sys.argv[1:])
    end_in_order()
    began, chance, verdicts = time.monotonic(), random.Random(arguments.seed), []
    with tempfile.TemporaryDirectory() as scratch:
        for kind in arguments.only:
            expected = undisturbed(Path(scratch), kind)
            for store in arguments.stores:
                verdicts.append(disturbed(Path(scratch), store, kind, expected, chance, arguments.kills))
                print(verdicts[-1], flush=True)
    write_result(report(verdicts, given, time.monotonic() - began), arguments.write)
    sys.exit(1 if any(verdict.faults for verdict in verdicts) else 0)


if __name__ == "__main__":
    main()
