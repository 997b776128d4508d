"""A test's store behind MLflow's HTTP API, served by a thread of this process."""

import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from recurrent_cells.tracking.store import Store
from recurrent_cells.tracking.tables import database_of


@pytest.fixture(scope="session")
def mlflow_app() -> Any:
    """MLflow's server application; its import takes seconds and warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.server import app, fastapi_app  # the latter else with the first request
    del fastapi_app
    return app


@pytest.fixture
def served(store: Store, mlflow_app: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The test's store as clients of a tracking server see it."""
    from mlflow.server import handlers
    from werkzeug.serving import WSGIRequestHandler, make_server

    database = database_of(store)
    monkeypatch.setattr(handlers, "_get_tracking_store", lambda *_: database)
    # Without the extra for logins each search imports it in vain, which goes wrong now and then where several do.
    monkeypatch.setitem(sys.modules, "mlflow.server.auth", SimpleNamespace(auth_config=None))
    monkeypatch.setattr(WSGIRequestHandler, "log_request", lambda *_: None)
    server = make_server("127.0.0.1", 0, mlflow_app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield replace(store, uri=f"http://127.0.0.1:{server.port}")
    server.shutdown()
    thread.join()
    server.server_close()
