"""Gives bad command lines, data, config files, pictures and stores to the commands, and bad requests to the server.

python -m benchmarks.malformed --write benchmarks/results/malformed.md
"""

import argparse
import os
import shlex
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.malformed.sandbox import MOST_BYTES, MOST_SECONDS, Case, Sandbox, Verdict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="keep the result in this file")
    parser.add_argument("--every", type=int, default=1, help="of the values of keys try each so-manieth")
    parser.add_argument("--only", nargs="*", default=[""], help="run cases of kinds of which one is a part")
    parser.add_argument("--named", default="", help="and of these the cases of whose names this is a part")
    arguments, given = parser.parse_args(), shlex.join(sys.argv[1:])
    folder = Path(tempfile.mkdtemp(prefix="malformed-"))  # a TemporaryDirectory would go when the first child ends
    verdicts: list[Verdict] = []
    try:
        verdicts.extend(_all(Sandbox(folder), arguments.only, arguments.named, arguments.every))
    except KeyboardInterrupt:  # what was tried by then is told
        given += ", ended before its end"
    finally:
        shutil.rmtree(folder)
    text = _result(verdicts, given)
    from benchmarks.record import write_result

    write_result(text, arguments.write)


def _all(sandbox: Sandbox, only: Sequence[str], named: str, every: int) -> Iterator[Verdict]:
    """Try the cases of kinds of which one of `only` is a part; of the values of keys each so-manieth."""
    sandbox.prepare()
    import src  # noqa: F401 - from here on the package knows where the folder is
    from benchmarks.malformed import archives, command_lines, files, series, store

    def is_asked(kind: str) -> bool:
        return any(part in kind for part in only)

    filled = None
    for fill, kind, cases in (  # what the store needs, the kind where its files take long to make, the cases
        (store.untrained, "", lambda: command_lines.cases(every)),
        (store.untrained, "", lambda: files.config_cases(sandbox.bad)),
        (store.untrained, "data files", lambda: files.data_cases(sandbox.bad)),
        (store.untrained, "series files", lambda: series.data_cases(sandbox.bad)),
        (store.trained, "archives", lambda: archives.cases(sandbox.bad)),
        (store.trained, "pictures", lambda: files.picture_cases(sandbox.bad)),
        (store.trained, "stores", lambda: store.cases(sandbox)),
        (store.trained_on_series, "series to predict", lambda: series.predict_cases(sandbox)),
    ):
        if kind and not is_asked(kind):
            continue
        if fill is not filled:
            fill(sandbox)
            filled = fill
        yield from _tried(sandbox, (it for it in cases() if is_asked(it.kind) and named in it.name))


def _tried(sandbox: Sandbox, cases: Iterable[Case]) -> Iterator[Verdict]:
    kind = ""
    for case in cases:
        if case.kind != kind:
            kind = case.kind
            print(f"{kind} …", file=sys.stderr, flush=True)
        verdict = sandbox.run(case)
        if verdict.faults:
            print(f"{case.kind}: {case.name}: {'; '.join(verdict.faults)}\n  {verdict.said[-600:]}", flush=True)
        yield verdict


def _result(verdicts: Sequence[Verdict], given: str) -> str:
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
            f"`python -m benchmarks.malformed {given}`. Requests to the server have "
            "[a result of their own](serving.md).",
            "",
        ]
    )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
