"""What the server takes: malformed requests, load from 1 and 32 clients, and the memory it needs for them.

python -m benchmarks.serving --write benchmarks/results/serving.md
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.malformed.requests import IMAGE, Malformed, is_refused, malformed_requests, request, send
from benchmarks.record import machine, write_result
from recurrent_cells.tables import CELLS
from src import REPOSITORY

PATIENCE = 40.0
GOOD = request("/invocations", json.dumps({"instances": [IMAGE]}).encode())
PING = request("/ping", b"", method="GET")


@dataclass(frozen=True)
class Server:
    """A server under way, and its greeting."""

    port: int
    process: int
    greeting: str

    def resident(self) -> float:
        """MiB of memory."""
        status = Path(f"/proc/{self.process}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


@dataclass(frozen=True)
class Load:
    """Seconds, and the milliseconds of each request."""

    clients: int
    seconds: float
    milliseconds: list[float]

    def row(self) -> str:
        p50, p99 = np.percentile(self.milliseconds, (50, 99))
        rate = len(self.milliseconds) / self.seconds
        return f"| {self.clients} | {len(self.milliseconds):,} | {rate:,.0f} | {p50:.1f} | {p99:.1f} |"


@contextmanager
def serving() -> Iterator[Server]:
    """`make serve` over a store with a network of each cell at the default sizes, trained for an epoch."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        for cell in CELLS.names:
            command = [sys.executable, "-m", "src.train", f"model={cell}", "trainer=cpu", "trainer.max_epochs=1"]
            subprocess.run(command, cwd=REPOSITORY, env=env, check=True, capture_output=True)
        command = [sys.executable, "-m", "src.serve", "0"]
        process = subprocess.Popen(command, cwd=REPOSITORY, env=env, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            greeting = process.stdout.readline()
            yield Server(int(re.findall(r":(\d+)/", greeting)[0]), process.pid, greeting)
        finally:
            process.terminate()
            process.wait()


def refuse(port: int) -> Counter[str]:
    """What malformed requests are answered with, the server being asked something good after each."""
    found = malformed_requests()
    with ThreadPoolExecutor(8) as senders:
        answers = list(senders.map(lambda malformed: _answer(port, malformed), found))
    wrong = [malformed.name for malformed, answer in zip(found, answers, strict=True) if not is_refused(answer)]
    if wrong:
        raise SystemExit(f"not refused: {', '.join(wrong)}")
    return Counter(answers)


def _answer(port: int, malformed: Malformed) -> str:
    answer = send(port, malformed, PATIENCE)
    good = send(port, Malformed("good", GOOD), PATIENCE)
    if good != "200":
        raise SystemExit(f"after {malformed.name} a good request is answered with {good}")
    return answer


def load(port: int, clients: int, requests: int, content: bytes = GOOD) -> Load:
    """Requests from clients that each keep a connection and wait for every answer; all must be the same."""
    return asyncio.run(_load(port, clients, requests, content))


async def _load(port: int, clients: int, requests: int, content: bytes) -> Load:
    milliseconds: list[float] = []
    answers: set[bytes] = set()

    async def client(count: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(count):
            start = time.perf_counter()
            writer.write(content)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(re.findall(rb"content-length: (\d+)", head)[0])
            answers.add(head.partition(b"\r\n")[0] + await reader.readexactly(length))
            milliseconds.append(1000 * (time.perf_counter() - start))
        writer.close()

    start = time.perf_counter()
    await asyncio.gather(*(client(requests // clients) for _ in range(clients)))
    seconds = time.perf_counter() - start
    if len(answers) != 1 or not next(iter(answers)).startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"answers differ: {sorted(answers)[:3]}")
    return Load(clients, seconds, milliseconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with serving() as server, context.Pool(1) as client:
        start = time.perf_counter()
        refused = refuse(server.port)
        refused_seconds = time.perf_counter() - start
        client.apply(load, (server.port, 32, 960))  # what is allocated once
        before = server.resident()
        alone = client.apply(load, (server.port, 1, arguments.requests // 10))
        halfway, coming = server.resident(), client.apply_async(load, (server.port, 32, arguments.requests * 9 // 10))
        time.sleep(1)
        meanwhile = load(server.port, 1, 200, PING)
        many = coming.get()
        after = server.resident()
    counts = ", ".join(f"{count} × {answer}" for answer, count in refused.most_common())
    lines = [
        "# The server",
        "",
        f"`python -m benchmarks.serving --requests {arguments.requests}`",
        "",
        f"**{refused.total()} malformed requests** (not JSON, wrong shapes, types and values, NaN, nested, too large, "
        "wrong headers, methods and HTTP, cut off, slow), 8 at a time, each followed by a good one that was answered, "
        f"in {refused_seconds:.0f} s: {counts}. None got another answer.",
        "",
        "Load: one image a request to `/invocations`, answered by the best of three cells at the default size, "
        "from a client in another process that keeps its connections; all answers the same.",
        "",
        "| clients | requests | requests a second | p50, ms | p99, ms |",
        "|---|---|---|---|---|",
        alone.row(),
        many.row(),
        "",
        f"`/ping` while the 32 clients were served: p50 {np.percentile(meanwhile.milliseconds, 50):.1f} ms, "
        f"p99 {np.percentile(meanwhile.milliseconds, 99):.1f} ms.",
        "",
        f"Resident memory: {before:.1f} MiB before the load (malformed requests and 960 good ones were answered), "
        f"{halfway:.1f} MiB after the first row, {after:.1f} MiB at the end.",
        "",
        machine(),
    ]
    write_result("\n".join(lines) + "\n", arguments.write)


if __name__ == "__main__":
    main()
