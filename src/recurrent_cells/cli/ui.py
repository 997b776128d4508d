"""Open the MLflow UI on this machine over the same store: [port]."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from recurrent_cells.cli.arguments import answer, port_of
from recurrent_cells.config.schema import EXPERIMENT
from recurrent_cells.tracking.store import open_store
from recurrent_cells.tracking.views import CHARTS, TRIALS, page

PORT = 5000


def main(arguments: Sequence[str]) -> None:
    """Replace this process by MLflow's server on 127.0.0.1."""
    answer(f"{__doc__}\n  port: a number from 1 to 65535, {PORT} by default", arguments, lambda: _open(arguments))


def _open(arguments: Sequence[str]) -> None:
    port = port_of("ui", arguments, PORT, lowest=1)
    store = open_store(EXPERIMENT, reading=True)
    is_server = store.uri.startswith(("http://", "https://"))
    address = store.address.rstrip("/") if is_server else f"http://127.0.0.1:{port}"
    for what, view in (("The curves", CHARTS), ("All trials", TRIALS)):
        print(f"{what}: {address}{page(store.experiment_id, view)}", flush=True)
    if is_server:
        print("The store is a server with a UI of its own: nothing is started here.")
        return
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # a dozen processes that curves do not need
    artifacts = (store.folder / "artifacts").as_uri()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store.uri, "--default-artifact-root", artifacts]
    os.chdir(Path(store.folder))  # MLflow writes into its working directory if left to itself
    os.execv(sys.executable, command)
