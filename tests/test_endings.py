"""A benchmark that is asked to end takes along what it started."""

import signal
import subprocess
import sys

from src import REPOSITORY
from tests.sweeps.processes import is_alive, wait_until

BENCHMARK = """
import subprocess, time
from benchmarks.endings import end_in_order, ended_with_this

end_in_order()
try:
    print(ended_with_this(subprocess.Popen(["sleep", "600"])).pid, flush=True)
    time.sleep(600)
finally:
    print("its server is ended", flush=True)
"""


def test_sigterm_ends_a_benchmark_its_servers_and_its_commands():
    command = [sys.executable, "-c", BENCHMARK]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as benchmark:
        assert benchmark.stdout is not None
        started = int(benchmark.stdout.readline())
        assert is_alive(started)
        benchmark.send_signal(signal.SIGTERM)
        assert benchmark.stdout.read() == "its server is ended\n"
        assert benchmark.wait(60) == 143
    wait_until(lambda: not is_alive(started))
