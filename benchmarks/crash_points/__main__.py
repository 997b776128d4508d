"""Kill a command at each call that writes below its store, let each fail, cut the power there, give it again, compare.

python -m benchmarks.crash_points --write benchmarks/results/crash_points.md
python -m benchmarks.crash_points --only trial --faults kill --sample 20
"""

import argparse
import shlex
import shutil
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.crash_points.points import COMMANDS, FAULTS, POWER_CUTS, TINY, Campaign, Result
from benchmarks.crash_points.runs import warm_up
from benchmarks.crash_points.tracer import can_trace
from benchmarks.record import machine, write_result

SAID = (
    "Compared with the same undisturbed: one FINISHED run a trial and no other (after a power cut others may be "
    "KILLED), every metric point (of epoch_seconds and samples_per_second the steps), every file by its digest (where "
    "times or ids are in it, that it is there and not empty), the counts of the sweep, the trials of the study, "
    "nothing RUNNING, nothing left over; exit code 0, and after an error no traceback."
)
MEANING = {
    "kill": "SIGKILL to all processes before the call",
    "ENOSPC": "the call fails once with ENOSPC",
    "EIO": "the call fails once with EIO",
    "strict": "power cut; left is what POSIX promises: synced content under names synced with their folders",
    "ordered": "power cut; left are all names, as a journal of metadata has them, but only synced content",
}


def report(results: list[Result], given: str, seconds: float) -> str:
    kinds = dict.fromkeys(result.kind for result in results)
    lines = [
        "# Each write in turn",
        "",
        f"`python -m benchmarks.crash_points {given}`. Calls that write below the store are "
        "counted over all threads of the processes named; one run of the command, then the same command again. " + SAID,
        "",
        "| command | calls of | fault | points | tried | failed |",
        "|---|---|---|---|---|---|",
        *(
            f"| {it.kind} | {'all' if it.fault in POWER_CUTS else COMMANDS[it.kind].counted} | {it.fault} "
            f"| {it.points} | {it.tried} | {len(it.faults)} |"
            for it in results
        ),
        "",
        "A power cut is tried once for each image of the folder that differs from the one before.",
        "",
        *(f"- {fault}: {meaning}" for fault, meaning in MEANING.items()),
        *(f"- {kind}: `python -m src.train {shlex.join(COMMANDS[kind].arguments)}`" for kind in kinds),
        "",
        *(f"- FAILED {fault}" for result in results for fault in result.faults),
        "",
        f"{seconds:.0f} s; {machine()}",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="*", choices=list(COMMANDS), default=list(COMMANDS), help="kinds of commands")
    parser.add_argument("--faults", nargs="*", choices=list(FAULTS), default=list(FAULTS))
    parser.add_argument("--sample", type=int, help="try so many points of each command and fault, evenly spread")
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    arguments, given = parser.parse_args(), shlex.join(sys.argv[1:])
    if not can_trace():
        sys.exit("processes cannot be traced here: Linux on x86-64 and the right to ptrace are needed")
    start, results = time.monotonic(), []
    folder = Path(tempfile.mkdtemp()).resolve()  # a TemporaryDirectory would be removed by the first child that ends
    try:
        warm_up(TINY, folder / "warm")
        campaign = Campaign(folder)
        for kind in arguments.only:
            results += campaign.run(kind, COMMANDS[kind], arguments.faults, arguments.sample)
    finally:
        shutil.rmtree(folder)
    write_result(report(results, given, time.monotonic() - start), arguments.write)
    sys.exit(1 if any(result.faults for result in results) else 0)


if __name__ == "__main__":
    main()
