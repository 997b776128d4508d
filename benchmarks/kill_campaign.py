"""Kill a sweep over and over, give the same command again until it is done, and hold it against an undisturbed one.

python -m benchmarks.kill_campaign --kills 50 --write benchmarks/results/kill_campaign.md
python -m benchmarks.kill_campaign --kills 50 --of search --write benchmarks/results/search_campaign.md
"""

import argparse
import contextlib
import io
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import torch

from benchmarks.record import machine, write_result
from recurrent_cells.tracking.artifacts import read_checkpoint
from recurrent_cells.tracking.queries import TrialRecord, search, trial_records
from recurrent_cells.tracking.store import Store, open_store
from recurrent_cells.training import state
from src import REPOSITORY

TIMINGS = {"epoch_seconds", "samples_per_second"}
ATTACKS = ("SIGKILL a trial", "SIGKILL the parent", "SIGKILL all", "SIGTERM the parent", "SIGTERM a trial", "Ctrl-C")
SURVIVED = (
    "none: metrics and weights bit-identical, one FINISHED run a trial, nothing RUNNING, no point missing or twice"
)
SWEEP = (
    *("-m", "model=simple_rnn,lstm,gru", "seed=0,1,2", "trainer=cpu", "model.hidden_size=50", "trainer.max_epochs=60"),
    *("trainer.checkpoint_every=25", "model.output_dropout=0.1", "sweep.retries=3", "sweep.report=false"),
)
# One trial after the other: what a search proposes follows from what came before, to the bit.
SEARCH = (
    *("-m", "hydra/sweeper=optuna", "model=simple_rnn,lstm,gru", "model.hidden_size=int(interval(16,50))"),
    *("optimizer.lr=tag(log,interval(1e-4,3e-2))", "hydra.sweeper.n_trials=16", "hydra.sweeper.startup_trials=5"),
    *("hydra.sweeper.pruner=asha", "trainer=cpu", "trainer.max_epochs=30", "trainer.checkpoint_every=25"),
    *("hydra.launcher.slots=1", "sweep.retries=3", "sweep.report=false"),
)
COMMANDS = {"sweep": SWEEP, "search": SEARCH}


@dataclass
class Verdict:
    """What a campaign came to; `faults` is empty if the sweep survived it."""

    trials: int = 0
    starts: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    points: int = 0
    faults: list[str] = field(default_factory=list)


def campaign(folder: Path, command: tuple[str, ...], kills: int, seed: int, longest_wait: float) -> Verdict:
    """Run `command` undisturbed and disturbed, in two stores below `folder`, and compare."""
    verdict = Verdict()
    calm, disturbed = f"sqlite:///{folder}/calm/mlflow.db", f"sqlite:///{folder}/disturbed/mlflow.db"
    _start(command, calm, folder / "calm.log").wait()
    chance = random.Random(seed)
    while sum(verdict.kills.values()) < kills:
        sweep = _start(command, disturbed, folder / "disturbed.log")
        verdict.starts += 1
        while sweep.poll() is None and sum(verdict.kills.values()) < kills:
            time.sleep(chance.uniform(0, longest_wait))
            attack = chance.choice(ATTACKS)
            if sweep.poll() is None and _attack(sweep, attack, chance):
                verdict.kills[attack] += 1
                if "trial" not in attack:
                    break
        else:
            if sweep.poll() == 0:
                break
        code = sweep.wait(timeout=300)
        if code not in (0, 1, 130, 143, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT):
            verdict.faults.append(f"a disturbed sweep exited with {code}")
    if sum(verdict.kills.values()) < kills:
        verdict.faults.append(f"the sweep was done after {sum(verdict.kills.values())} kills")
    for _ in range(3):
        verdict.starts += 1
        if (code := _start(command, disturbed, folder / "disturbed.log").wait(timeout=1200)) == 0:
            break
    else:
        verdict.faults.append(f"the last, undisturbed start exited with {code}")
    compare(_open(calm), _open(disturbed), verdict)
    return verdict


def _start(command: tuple[str, ...], uri: str, log: Path) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "src.train", *command],
            cwd=REPOSITORY,
            env={**os.environ, "MLFLOW_TRACKING_URI": uri},
            stdout=output,
            stderr=output,
            start_new_session=True,
            # a campaign in the background of a shell ignores Ctrl-C; its sweeps must not
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )


def _open(uri: str) -> Store:
    os.environ["MLFLOW_TRACKING_URI"] = uri
    return open_store("recurrent-cells")


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _attack(sweep: subprocess.Popen[bytes], attack: str, chance: random.Random) -> bool:
    """Send the signal; False if there was nothing to hit."""
    children = _children(sweep.pid)
    signum = signal.SIGKILL if "KILL" in attack else signal.SIGTERM if "TERM" in attack else signal.SIGINT
    if "trial" in attack:
        if not children:
            return False
        targets = [chance.choice(children)]
    else:
        targets = [*children, sweep.pid] if "all" in attack else [sweep.pid]
    for target in targets:
        with contextlib.suppress(ProcessLookupError):
            os.kill(target, signum)
    return True


def compare(calm: Store, disturbed: Store, verdict: Verdict) -> None:
    """Hold the trials of a store, their points and best weights, against those of an undisturbed one."""
    expected = {record.fingerprint: record for record in trial_records(calm)}
    verdict.trials = len(expected)
    unfinished = [record.name for record in expected.values() if record.status != "FINISHED"]
    if unfinished:
        verdict.faults.append(f"the undisturbed sweep did not finish {unfinished}")
    for run in search(disturbed, "attributes.status = 'RUNNING'"):
        verdict.faults.append(f"run {run.info.run_name} is still RUNNING")
    found = trial_records(disturbed)
    finished = Counter(record.fingerprint for record in found if record.status == "FINISHED")
    for fingerprint, record in expected.items():
        if finished[fingerprint] != 1:
            verdict.faults.append(f"{record.name} has {finished[fingerprint]} FINISHED runs")
            continue
        other = next(r for r in found if r.fingerprint == fingerprint and r.status == "FINISHED")
        if set(record.metrics) != set(other.metrics):
            verdict.faults.append(f"{record.name}: other metrics than undisturbed")
        for key in record.metrics:
            points = [(p.step, p.value) for p in calm.client.get_metric_history(record.run_id, key)]
            others = [(p.step, p.value) for p in disturbed.client.get_metric_history(other.run_id, key)]
            verdict.points += len(others)
            if key in TIMINGS:
                points, others = [(step, 0.0) for step, _ in points], [(step, 0.0) for step, _ in others]
            if points != others:
                verdict.faults.append(f"{record.name}: {key} differs from undisturbed")
        weights, others_weights = _weights(calm, record), _weights(disturbed, other)
        if not all(torch.equal(weights[name], others_weights[name]) for name in weights):
            verdict.faults.append(f"{record.name}: weights differ from undisturbed")


def _weights(store: Store, record: TrialRecord) -> dict[str, torch.Tensor]:
    content = io.BytesIO(read_checkpoint(store, record))
    weights: dict[str, torch.Tensor] = state.read(content, Path(record.name))["weights"]
    return weights


def report(what: str, verdict: Verdict, command: tuple[str, ...], seconds: float, seed: int) -> str:
    kills = ", ".join(f"{count} × {attack}" for attack, count in sorted(verdict.kills.items()))
    lines = [
        f"# A {what} killed over and over",
        "",
        f"`python -m src.train {shlex.join(command)}`, the same command given {verdict.starts} times.",
        "",
        f"- {verdict.trials} trials, {sum(verdict.kills.values())} kills at random moments (seed {seed}): {kills}",
        f"- {verdict.points:,} metric points and all best weights compared with an undisturbed {what}",
        f"- faults: {'; '.join(verdict.faults) or SURVIVED}",
        f"- {seconds:.0f} s; {machine()}",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--wait", type=float, default=5.0, help="most seconds between kills: more on a busy machine")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--also", nargs="*", default=[], help="more arguments of the sweep, hydra/launcher=packed say")
    parser.add_argument("--of", choices=list(COMMANDS), default="sweep", help="what is killed")
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    arguments = parser.parse_args()
    start = time.monotonic()
    command = (*COMMANDS[arguments.of], *arguments.also)
    with tempfile.TemporaryDirectory() as folder:
        verdict = campaign(Path(folder), command, arguments.kills, arguments.seed, arguments.wait)
    write_result(report(arguments.of, verdict, command, time.monotonic() - start, arguments.seed), arguments.write)
    sys.exit(1 if verdict.faults else 0)


if __name__ == "__main__":
    main()
