"""A sweep on a Ray cluster that loses a node, held against the local launcher; what Ray costs a trial.

    python -m benchmarks.ray_cluster --write benchmarks/results/ray.md
    python -m benchmarks.ray_cluster --rounds 2 --of pack --write benchmarks/results/ray_packs.md

With --rounds a node and then the head are killed in turn, so often; the sweep, packs or search then goes on to its end.

The cluster is real, of node processes on this machine: a head without room for trials and nodes of one CPU each.
"""

import argparse
import itertools
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.endings import end_in_order, ended_with_this
from benchmarks.kill_campaign import SURVIVED, Verdict, compare
from benchmarks.record import machine, write_result
from recurrent_cells.tracking.queries import search, trial_records
from recurrent_cells.tracking.store import Store, open_store
from src import REPOSITORY

SWEEP = (
    *("-m", "model=simple_rnn,lstm,gru", "seed=0,1,2,3", "trainer=cpu", "model.hidden_size=50"),
    *("trainer.max_epochs=20", "trainer.checkpoint_every=25", "sweep.report=false"),
)
LOCAL = ("hydra.launcher.slots=2",)
SMALL: dict[str, Any] = {"object_store_memory": 80 * 2**20}
PACKED = "hydra.launcher.max_pack=2"
# Proposals that do not follow from what came before, since nodes that come and go change how many run at once.
SEARCH = (
    *("-m", "hydra/sweeper=optuna", "hydra.sweeper.sampler=random", "hydra.sweeper.n_trials=10", "trainer=cpu"),
    *("model=simple_rnn,lstm,gru", "model.hidden_size=int(interval(16,50))", "optimizer.lr=interval(1e-3,1e-2)"),
    *("trainer.max_epochs=10", "trainer.checkpoint_every=25", "sweep.report=false"),
)
SHORT = ("-m", "seed=range(0,30)", "trainer=cpu", "trainer.max_steps=20", "sweep.report=false", "registry=false")


@dataclass(frozen=True)
class Kind:
    """A command, what makes this machine run it without Ray, and what Ray needs for the same."""

    command: tuple[str, ...]
    local: tuple[str, ...]
    ray: tuple[str, ...] = ()


KINDS = {
    "sweep": Kind(SWEEP, LOCAL),
    "pack": Kind(SWEEP, ("hydra/launcher=packed", PACKED), (PACKED,)),
    "search": Kind(SEARCH, LOCAL),
}


@contextmanager
def ray_cluster(nodes: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """A cluster with so many nodes of one CPU; its address, and what kills one of them with all its processes."""
    with cluster(nodes) as running:
        yield running.address, lambda: running.remove_node(next(iter(running.worker_nodes)), allow_graceful=False)


@contextmanager
def cluster(nodes: int) -> Iterator[Any]:
    """Ray's own `Cluster`: a head without room for trials, and so many nodes of one CPU."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    from ray.cluster_utils import Cluster

    running = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **SMALL})
    try:
        for _ in range(nodes):
            running.add_node(num_cpus=1, **SMALL)
        yield running
    finally:
        running.shutdown()


def sweep(uri: str, *command: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri}
    command = (sys.executable, "-m", "src.train", *command)
    return ended_with_this(subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL))


def store_at(uri: str) -> Store:
    os.environ["MLFLOW_TRACKING_URI"] = uri
    return open_store("recurrent-cells")


def node_killed(folder: Path, command: tuple[str, ...] = SWEEP, finished_before: int = 3) -> tuple[Verdict, float]:
    """Run a sweep in two slots and on two nodes, of which one is killed once so many trials are finished.

    Returns:
        what the comparison of both came to, and the seconds that the sweep on the cluster took.
    """
    calm, disturbed = f"sqlite:///{folder}/calm/mlflow.db", f"sqlite:///{folder}/ray/mlflow.db"
    verdict = Verdict(starts=1)
    if sweep(calm, *command, *LOCAL).wait():
        verdict.faults.append("the sweep of the local launcher failed")
    store = store_at(disturbed)
    with ray_cluster(nodes=2) as (address, kill_node):
        start = time.monotonic()
        disturbed_sweep = sweep(
            disturbed, *command, "hydra/launcher=ray", f"hydra.launcher.address='{address}'", "sweep.retries=2"
        )
        while len(trial_records(store, "attributes.status = 'FINISHED'")) < finished_before:
            time.sleep(0.1)
            if disturbed_sweep.poll() is not None:
                break
        kill_node()
        verdict.kills["a node"] += 1
        code = disturbed_sweep.wait(timeout=900)
        seconds = time.monotonic() - start
    if code:
        verdict.faults.append(f"the sweep on the cluster exited with {code}")
    compare(store_at(calm), store_at(disturbed), verdict)
    continued = [run for run in search(store) if run.data.tags.get("error")]
    verdict.faults += [f"{run.info.run_name} kept the error {run.data.tags['error']}" for run in continued]
    return verdict, seconds


def taken_down(folder: Path, rounds: int, kind: Kind, also: Sequence[str]) -> Verdict:
    """Kill a node, for which another comes, then the head; the command goes on with a new cluster, and so on."""
    calm, disturbed = f"sqlite:///{folder}/calm/mlflow.db", f"sqlite:///{folder}/ray/mlflow.db"
    verdict = Verdict()
    if sweep(calm, *kind.command, *kind.local, *also).wait():
        verdict.faults.append("the command of the local launcher failed")
    store, code = store_at(disturbed), 1
    for last in (*[False] * rounds, True):
        with cluster(nodes=2) as running:
            place = ("hydra/launcher=ray", f"hydra.launcher.address='{running.address}'", *kind.ray)
            started = sweep(disturbed, *kind.command, *place, *also, "sweep.retries=3")
            verdict.starts += 1
            if not last:
                _until_under_way(store, started)
                running.remove_node(next(iter(running.worker_nodes)), allow_graceful=False)
                verdict.kills["a node"] += 1
                running.add_node(num_cpus=1, **SMALL)
                _until_under_way(store, started)
                running.remove_node(running.head_node, allow_graceful=False)
                verdict.kills["the head"] += 1
            code = started.wait(timeout=900)
            if not last and code not in (0, 1):
                verdict.faults.append(f"a command whose cluster's head was killed exited with {code}")
    if code:
        verdict.faults.append(f"the last start exited with {code}")
    compare(store_at(calm), store_at(disturbed), verdict)
    return verdict


def _until_under_way(store: Store, command: subprocess.Popen[bytes]) -> None:
    """Wait until a trial more has finished, and another runs; or until the command ends."""
    before = len(trial_records(store, "attributes.status = 'FINISHED'"))
    while command.poll() is None:
        has_more = len(trial_records(store, "attributes.status = 'FINISHED'")) > before
        if has_more and trial_records(store, "attributes.status = 'RUNNING'"):
            return
        time.sleep(0.2)


def between_starts(folder: Path, *launcher: str) -> float:
    """Median seconds from the start of a trial's run to that of the next, one at a time."""
    uri = f"sqlite:///{folder}/{len(list(folder.iterdir()))}/mlflow.db"
    if sweep(uri, *SHORT, *launcher).wait():
        raise RuntimeError(f"a sweep failed: {launcher}")
    starts = sorted(run.info.start_time for run in search(store_at(uri), "tags.fingerprint != ''"))[1:]
    return statistics.median(later - earlier for earlier, later in itertools.pairwise(starts)) / 1000


def overhead(folder: Path, pairs: int) -> list[tuple[float, float]]:
    """For each pair the seconds between starts with the local launcher and with Ray."""
    everything = f"hydra.launcher.num_cpus={os.cpu_count()}"
    return [
        (
            between_starts(folder, "hydra.launcher.slots=1"),
            between_starts(folder, "hydra/launcher=ray", everything),
        )
        for _ in range(pairs)
    ]


def report(verdict: Verdict, seconds: float, spans: list[tuple[float, float]]) -> str:
    extra = [ray - local for local, ray in spans]
    lines = [
        "# A sweep on a Ray cluster",
        "",
        f"`python -m src.train {' '.join(SWEEP)}` with `hydra/launcher=ray`, on a head and two nodes, of which one was "
        "killed by SIGKILL with all its processes after three trials; against `hydra/launcher=local`.",
        "",
        f"- {verdict.trials} trials, {seconds:.0f} s",
        f"- {verdict.points:,} metric points and all best weights compared with the local launcher's",
        f"- faults: {'; '.join(verdict.faults) or SURVIVED}",
        "",
        f"`python -m src.train {' '.join(SHORT)}`, one trial at a time, {len(spans)} pairs: from the start of a trial "
        f"to that of the next {statistics.median(local for local, _ in spans):.3f} s (local), "
        f"{statistics.median(ray for _, ray in spans):.3f} s (Ray); Ray adds {statistics.median(extra):+.3f} s a trial "
        f"({min(extra):+.3f} – {max(extra):+.3f}).",
        "",
        machine(),
    ]
    return "\n".join(lines) + "\n"


def report_of_kills(verdict: Verdict, kind: Kind, given: str, seconds: float) -> str:
    command = shlex.join([*kind.command, "hydra/launcher=ray", *kind.ray])
    lines = [
        "# A Ray cluster that is killed",
        "",
        f"`python -m benchmarks.ray_cluster {given}`: `python -m src.train {command}`, two nodes of one CPU "
        "beside the head. SIGKILL to all processes of a node, for which another comes, once a trial has finished and "
        "another runs; once one more has, to those of the head; the same command goes on with a new cluster.",
        "",
        f"- {', '.join(f'{count} x {what}' for what, count in verdict.kills.items())}; {verdict.starts} starts",
        f"- {verdict.trials} trials, {verdict.points:,} metric points and all best weights compared with those of "
        f"`{' '.join(kind.local)}`",
        f"- faults: {'; '.join(verdict.faults) or SURVIVED}",
        "",
        f"{seconds:.0f} s; {machine()}",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--rounds", type=int, help="kill a node and the head so often, and measure nothing")
    parser.add_argument("--of", choices=list(KINDS), default="sweep", help="with --rounds: what runs on the cluster")
    parser.add_argument("--also", nargs="*", default=[], help="with --rounds: more arguments of the command")
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    arguments = parser.parse_args()
    end_in_order()
    if arguments.rounds is not None:
        start, kind = time.monotonic(), KINDS[arguments.of]
        with tempfile.TemporaryDirectory() as folder:
            found = taken_down(Path(folder), arguments.rounds, kind, arguments.also)
        text = report_of_kills(found, kind, shlex.join(sys.argv[1:]), time.monotonic() - start)
        write_result(text, arguments.write)
        sys.exit(1 if found.faults else 0)
    with tempfile.TemporaryDirectory() as folder:
        verdict, seconds = node_killed(Path(folder))
        (Path(folder) / "short").mkdir()
        spans = overhead(Path(folder) / "short", arguments.pairs)
    write_result(report(verdict, seconds, spans), arguments.write)
    sys.exit(1 if verdict.faults else 0)


if __name__ == "__main__":
    main()
