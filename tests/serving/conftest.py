"""Networks of the three cells on a tiny data set, and a server in which they answer."""

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi import FastAPI

from recurrent_cells.serving.app import create_app
from recurrent_cells.serving.connections import TimedProtocol, http_server
from recurrent_cells.serving.models import Models, load_models
from recurrent_cells.tracking.store import open_store
from recurrent_cells.trial.train import train
from tests.support import TINY, compose_config, within, write_data_set

CELLS = ("simple_rnn", "lstm", "gru")


@pytest.fixture(scope="package")
def models(tmp_path_factory, empty_store) -> Models:
    """One network of each cell, on images of 6 × 5 in 4 classes."""
    folder = tmp_path_factory.mktemp("serving")
    shutil.copy(empty_store, folder / "mlflow.db")
    data = write_data_set(folder / "data")
    with pytest.MonkeyPatch.context() as surroundings:
        surroundings.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        for cell in CELLS:
            train(compose_config(*TINY, f"model={cell}", f"data.root={data}"))
        return load_models(open_store("recurrent-cells"))


@pytest.fixture(scope="package")
def port(models) -> Iterator[int]:
    """Where they answer; requests have 1 second, their bodies half of one."""
    with pytest.MonkeyPatch.context() as limits:
        limits.setattr(TimedProtocol, "timeout", 1.0)
        with answering(create_app(models, body_timeout=0.5)) as port:
            yield port


@contextmanager
def answering(app: FastAPI) -> Iterator[int]:
    """The port where an application answers."""
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        server = http_server(app, lambda: None)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        within(20, lambda: server.started)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()
