"""The MLflow store: made where there is none, refused in a line where it will not do."""

import http.server
import os
import shutil
import signal
import socket
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from recurrent_cells.errors import UserError
from recurrent_cells.tracking import database, store
from recurrent_cells.tracking.store import open_store, tables_made_beside, tracking_uri


@pytest.fixture
def use(monkeypatch):
    for name in ("USERNAME", "PASSWORD"):  # a URI may set them
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", "")

    def used(uri: str) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)

    return used


@pytest.fixture(autouse=True)
def servers_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "TRACKING", tmp_path / "mlruns")


def refusal(experiment: str = "cells") -> str:
    with pytest.raises(UserError) as caught:
        open_store(experiment)
    assert len(str(caught.value).splitlines()) <= 2
    return str(caught.value)


def test_without_a_uri_the_store_is_the_repositorys(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert tracking_uri() == f"sqlite:///{tmp_path}/mlruns/mlflow.db"


@pytest.mark.slow
def test_a_store_in_a_missing_folder_is_made(tmp_path, use, monkeypatch, capsys):
    monkeypatch.setattr(database, "await_tables", None)
    use(f"sqlite:///{tmp_path}/deep/er/cells.db")
    opened = open_store("cells")
    assert opened.folder == tmp_path / "deep" / "er"
    experiment = opened.client.get_experiment(opened.experiment_id)
    assert (experiment.name, experiment.artifact_location) == ("cells", f"file://{tmp_path}/deep/er/artifacts")
    with sqlite3.connect(tmp_path / "deep/er/cells.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    assert sorted(path.name for path in opened.folder.iterdir() if ".new" in path.name) == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_tables_of_a_missing_store_are_made_beside_the_body(tmp_path, use, monkeypatch, capfd):
    monkeypatch.setattr(database, "await_tables", None)
    use(f"sqlite:///{tmp_path}/deep/cells.db")
    with tables_made_beside():
        assert list(tmp_path.iterdir()) == []
        monkeypatch.setattr(database, "make_tables", None)  # this process has no need to
        assert open_store("cells").client.get_experiment_by_name("cells") is not None
    assert capfd.readouterr() == ("", "")


def test_where_no_tables_could_be_made_beside_the_store_is_made_as_ever(tmp_path, use, monkeypatch, empty_store, capfd):
    monkeypatch.setattr(database, "await_tables", None)
    monkeypatch.setattr(database, "make_tables", lambda path: Path("/proc/no").touch())
    use(f"sqlite:///{tmp_path}/cells.db")
    with tables_made_beside():
        monkeypatch.setattr(database, "make_tables", lambda path: shutil.copy(empty_store, path))
        assert open_store("cells").folder == tmp_path
    assert capfd.readouterr() == ("", "")


def test_who_is_refused_waits_for_no_tables(tmp_path, use, monkeypatch):
    monkeypatch.setattr(database, "await_tables", None)
    monkeypatch.setattr(database, "make_tables", lambda path: time.sleep(60))
    use(f"sqlite:///{tmp_path}/cells.db")
    begin = time.monotonic()
    with suppress(UserError), tables_made_beside():
        raise UserError("no such cell")
    assert time.monotonic() - begin < 10
    assert database.await_tables is None


@pytest.mark.parametrize("how", ["reading", "existing"])
def test_what_asks_for_runs_makes_no_store(tmp_path, use, how):
    use(f"sqlite:///{tmp_path}/absent/mlflow.db")
    with pytest.raises(UserError, match="there are no runs yet"):
        open_store("cells", **{how: True})
    assert not (tmp_path / "absent").exists()


def test_a_store_that_is_there_is_opened_again(store_file):
    first, second = open_store("cells"), open_store("cells")
    assert first.experiment_id == second.experiment_id
    assert open_store("others").experiment_id != first.experiment_id


def test_a_relative_path_is_of_the_current_folder(store_file, use, monkeypatch):
    monkeypatch.chdir(store_file.parent)
    use("sqlite:///mlflow.db")
    assert open_store("cells").uri == f"sqlite:///{store_file}"


def test_a_deleted_experiment_is_named(store_file):
    opened = open_store("cells")
    opened.client.delete_experiment(opened.experiment_id)
    assert refusal() == "tracking.experiment=cells: it is deleted; restore it or choose another name"


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("foo", "MLflow keeps no runs in folders any more"),
        ("./mlruns", "MLflow keeps no runs in folders any more"),
        ("file:///tmp/mlruns", "MLflow keeps no runs in folders any more"),
        ("foo://bar", "no such database, or it does not answer (Can't load plugin: sqlalchemy.dialects:foo)"),
        ("sqlite://", "it names no file"),
        ("sqlite:///", "it names no file"),
        ("sqlite:////tmp", "it names no file"),
        ("sqlite:///:memory:", "it names no file"),
        ("sqlite:nothing", "it names no file"),
        ("http://[::bad", "it is no address"),
    ],
)
def test_rubbish_is_refused_with_what_is_allowed(tmp_path, use, uri, reason):
    use(uri)
    first, second = refusal().splitlines()
    assert first == f"MLFLOW_TRACKING_URI={uri}: {reason};"
    assert second.startswith("allowed are sqlite:////PATH/mlflow.db, http://HOST:PORT, another database, or nothing")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path, use):
    (tmp_path / "file").touch()
    use(f"sqlite:///{tmp_path}/file/mlflow.db")
    assert refusal().startswith(f"{tmp_path}/file: cannot be written (Not a directory); make it writable, or set ")
    use("sqlite:////proc/here/mlflow.db")
    assert refusal().startswith("/proc/here: cannot be written (No such file or directory); ")


def test_a_file_that_is_no_store_is_named_and_left_alone(tmp_path, use):
    other = tmp_path / "notes.db"
    other.write_text("not a database, " * 100)
    use(f"sqlite:///{other}")
    assert refusal().startswith(f"{other}: not a usable MLflow store (file is not a database); move it away")
    assert other.read_text() == "not a database, " * 100


def test_a_name_that_no_store_takes_is_refused(store_file):
    assert "a name of 300 characters, and 255 are allowed" in refusal("x" * 300)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_server_that_refuses_is_named_without_its_password(tmp_path, use):
    port = free_port()
    use(f"http://me:secret@127.0.0.1:{port}")
    message = refusal()
    assert message.startswith(f"MLFLOW_TRACKING_URI=http://127.0.0.1:{port}: the server does not answer ([Errno 111] ")
    assert message.endswith("; start it, or unset MLFLOW_TRACKING_URI to use mlruns/")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_accepts_and_never_answers_is_given_up(use, monkeypatch):
    monkeypatch.setattr(store, "SERVER_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        use(f"http://127.0.0.1:{server.getsockname()[1]}")
        assert "the server does not answer (timed out)" in refusal()


def test_a_port_that_is_no_number_is_named(use):
    use("http://127.0.0.1:port")
    assert "the server does not answer (nonnumeric port: 'port')" in refusal()


class Stranger(http.server.BaseHTTPRequestHandler):
    """A web server that is not MLflow."""

    code, answer = 404, b"nothing here"

    def do_GET(self) -> None:
        self.send_response(self.code)
        self.end_headers()
        self.wfile.write(self.answer)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stranger():
    """The port of a web server that answers every request with `Stranger.code`."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_a_server_that_is_not_mlflow_is_refused(use, stranger):
    use(f"http://127.0.0.1:{stranger}")
    message = refusal()
    assert f"MLFLOW_TRACKING_URI=http://127.0.0.1:{stranger}: the store refuses (" in message
    assert "404" in message


@pytest.mark.parametrize("answer", [b"{}", b"[]", b"", b"<html>", b'{"experiment": {}}', b'{"experiment": 7}'])
def test_a_server_that_answers_what_mlflow_would_not_is_refused(use, stranger, monkeypatch, answer):
    monkeypatch.setattr(Stranger, "code", 200)
    monkeypatch.setattr(Stranger, "answer", answer)
    use(f"http://127.0.0.1:{stranger}")
    assert refusal().startswith(f"MLFLOW_TRACKING_URI=http://127.0.0.1:{stranger}: ")


def test_name_and_password_in_the_uri_go_where_no_message_shows_them(use, stranger, monkeypatch):
    monkeypatch.setattr(Stranger, "code", 401)
    use(f"http://me:se%20cret@127.0.0.1:{stranger}")
    assert refusal() == (
        f"MLFLOW_TRACKING_URI=http://127.0.0.1:{stranger}: the server wants another name or password; "
        "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
    )
    assert tracking_uri() == f"http://127.0.0.1:{stranger}"
    assert (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]) == ("me", "se cret")


def test_connections_can_be_closed_before_a_fork(store_file: Path):
    opened = open_store("cells")
    opened.client.search_experiments()
    opened.disconnect()
    assert opened.client.get_experiment(opened.experiment_id).name == "cells"


@pytest.mark.slow
def test_four_processes_on_a_fresh_store_all_work(tmp_path, store_file):
    store_file.unlink()
    ready, go = os.pipe()
    children = []
    for number in range(4):
        children.append(os.fork())
        if children[-1] == 0:
            code = 1
            try:
                os.read(ready, 1)
                opened = open_store("cells")
                run_id = opened.client.create_run(opened.experiment_id, run_name=f"run-{number}").info.run_id
                opened.client.log_metric(run_id, "loss", number)
                code = 0
            finally:
                os._exit(code)
    os.write(go, b"1234")
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0, 0]
    opened = open_store("cells")
    runs = opened.client.search_runs([opened.experiment_id])
    assert {(run.info.run_name, run.data.metrics["loss"]) for run in runs} == {(f"run-{n}", n) for n in range(4)}
    assert [path for path in tmp_path.iterdir() if ".new" in path.name] == []


@pytest.mark.slow
def test_killed_while_it_makes_the_store_it_leaves_none_or_a_whole_one(store_file):
    store_file.unlink()
    for seconds in (0.1, 0.6):
        child = os.fork()
        if child == 0:
            open_store("cells")
            os._exit(0)
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    opened = open_store("cells")
    run_id = opened.client.create_run(opened.experiment_id).info.run_id
    assert opened.client.get_run(run_id).info.status == "RUNNING"


def test_a_locked_database_is_named(store_file, monkeypatch):
    monkeypatch.setattr(database, "LOCK_TIMEOUT", 0.1)
    other = sqlite3.connect(store_file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    message = refusal()
    assert message.startswith(f"{store_file}: not a usable MLflow store (database is locked); another process has held")
    other.close()
    assert open_store("cells").experiment == "cells"


def test_a_full_disk_is_named(store_file, monkeypatch):
    def full(**_: object):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.tempfile, "TemporaryFile", full)
    assert refusal().startswith(f"{store_file.parent}: cannot be written (No space left on device); ")
