"""Gives bad command lines, data, config files, pictures and stores to the commands, and bad requests to the server.

python -m benchmarks.malformed --write benchmarks/results/malformed.md
"""

import argparse
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.malformed.sandbox import MOST_BYTES, MOST_SECONDS, Case, Sandbox, Verdict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="keep the result in this file")
    parser.add_argument("--only", default="", help="run the cases of which this is a part of kind or name")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="malformed-"))  # a TemporaryDirectory would go when the first child ends
    try:
        verdicts = _all(Sandbox(folder), arguments.only)
    finally:
        shutil.rmtree(folder)
    text = _result(verdicts)
    from benchmarks.record import write_result

    write_result(text, arguments.write)


def _all(sandbox: Sandbox, only: str) -> list[Verdict]:
    """Try the cases of which `only` is a part of kind or name."""
    sandbox.prepare()
    import src  # noqa: F401 - from here on the package knows where the folder is
    from benchmarks.malformed.store import trained, untrained

    verdicts: list[Verdict] = []
    for fill, cases in ((untrained, _without_a_network(sandbox)), (trained, _with_a_network(sandbox))):
        fill(sandbox)
        verdicts += _tried(sandbox, (it for it in cases if only in f"{it.kind} {it.name}"))
    return verdicts


def _without_a_network(sandbox: Sandbox) -> Iterator[Case]:
    from benchmarks.malformed import command_lines, files

    yield from command_lines.cases()
    yield from files.data_cases(sandbox.bad)
    yield from files.config_cases(sandbox.bad)


def _with_a_network(sandbox: Sandbox) -> Iterator[Case]:
    from benchmarks.malformed import archives, files, store

    yield from archives.cases(sandbox.bad)
    yield from files.picture_cases(sandbox.bad)
    yield from store.cases(sandbox)


def _tried(sandbox: Sandbox, cases: Iterable[Case]) -> list[Verdict]:
    verdicts = []
    for case in cases:
        verdict = sandbox.run(case)
        verdicts.append(verdict)
        if verdict.faults:
            print(f"{case.kind}: {case.name}: {'; '.join(verdict.faults)}\n  {verdict.said[-600:]}", flush=True)
    return verdicts


def _result(verdicts: Sequence[Verdict]) -> str:
    from benchmarks.record import machine

    kinds = Counter(verdict.case.kind for verdict in verdicts)
    rows = []
    for kind, count in kinds.items():
        of_kind = [verdict for verdict in verdicts if verdict.case.kind == kind]
        slowest = max(of_kind, key=lambda it: it.seconds)
        largest = max(verdict.megabytes for verdict in of_kind)
        faults = sum(bool(verdict.faults) for verdict in of_kind)
        name = slowest.case.name.replace("|", "/")
        rows.append(f"| {kind} | {count} | {faults} | {slowest.seconds:.1f} | `{name}` | {largest:,.0f} |")
    faulty = sum(bool(verdict.faults) for verdict in verdicts)
    return "\n".join(
        [
            "# Bad input",
            "",
            f"{machine()}.",
            "",
            f"**{len(verdicts)} bad inputs, {faulty} with a fault.** Each was given to a command in a process "
            "of its own, forked from one that has all imported.",
            "It must end with exit code 2 (1 where some pictures of `predict` cannot be read), say one or two lines "
            "and no traceback, take at",
            f"most {MOST_BYTES >> 30} GiB and {MOST_SECONDS:g} s, and leave neither a run nor a file behind. "
            "Seconds are of a processor, beyond imports.",
            "",
            "| kind | inputs | with a fault | slowest, s | which | most memory beyond the process's own, MiB |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            "`python -m benchmarks.malformed --write benchmarks/results/malformed.md`. Requests to the server have "
            "[a result of their own](serving.md).",
            "",
        ]
    )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
