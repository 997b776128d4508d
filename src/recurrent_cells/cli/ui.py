"""Open the MLflow UI on this machine over the same store: [port]."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from recurrent_cells.cli.arguments import answer, port_of
from recurrent_cells.config.schema import EXPERIMENT
from recurrent_cells.interrupts import handled
from recurrent_cells.tracking import database
from recurrent_cells.tracking.store import open_existing, open_store
from recurrent_cells.tracking.views import CHARTS, SEEDS, TRIALS, page

PORT = 5000


def main(arguments: Sequence[str]) -> None:
    """Replace this process by MLflow's server on 127.0.0.1."""
    answer(f"{__doc__}\n  port: a number from 1 to 65535, {PORT} by default", arguments, lambda: _open(arguments))


def _open(arguments: Sequence[str]) -> None:
    port = port_of("ui", arguments, PORT, lowest=1)
    store = open_existing(EXPERIMENT) or open_store(EXPERIMENT)
    is_server = store.uri.startswith(("http://", "https://"))
    address = store.address.rstrip("/") if is_server else f"http://127.0.0.1:{port}"
    for what, view in (("The curves", CHARTS), ("Each seed", SEEDS), ("All trials", TRIALS)):
        print(f"{what}: {address}{page(store.experiment_id, view)}", flush=True)
    if is_server:
        print("The store is a server with a UI of its own: nothing is started here.")
        return
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # a dozen processes that curves do not need
    artifacts = (store.folder / database.ARTIFACTS).as_uri()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store.uri, "--default-artifact-root", artifacts]
    if store.original is None:
        os.chdir(store.folder)  # MLflow writes into its working directory if left to itself
        os.execv(sys.executable, command)
    print("The store cannot be written: what is shown is a copy of this moment.", flush=True)
    sys.exit(_served(command, database.path_of(store.uri).parent))


def _served(command: Sequence[str], folder: Path) -> int:
    """The exit code of a command that runs in a folder until it ends or this process is asked to."""
    with handled() as interruption, interruption.deferred(), subprocess.Popen(command, cwd=folder) as server:
        while server.poll() is None and not interruption.asked:
            time.sleep(0.2)
        server.terminate()
    return 128 + interruption.signum if interruption.signum else server.returncode
