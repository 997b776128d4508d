"""The SQLite file of a store: at odd paths, moved, read-only, damaged, of another MLflow."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from recurrent_cells.errors import UserError
from recurrent_cells.files import write_atomically
from recurrent_cells.tracking import database
from recurrent_cells.tracking.artifacts import read_text
from recurrent_cells.tracking.queries import trial_records
from recurrent_cells.tracking.store import Store, open_store, tracking_uri

NOBODY = 65534


@pytest.fixture
def at(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Store]:
    """`at(folder)` opens the store in a folder, an empty one if there is none."""

    def opened(folder: Path, **how: Any) -> Store:
        if not folder.exists():
            folder.mkdir(parents=True)
            shutil.copy(empty_store, folder / "mlflow.db")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", database.uri_of(folder / "mlflow.db"))
        return open_store("cells", 0, **how)

    return opened


def keep_run(store: Store, text: str = "seven") -> str:
    """A finished trial that left a file, its model registered; the run's id."""
    run = store.client.create_run(store.experiment_id, tags={"fingerprint": text})
    store.client.log_text(run.info.run_id, text, "note.txt")
    with_names = {model.name for model in store.client.search_registered_models()}
    if "m" not in with_names:
        store.client.create_registered_model("m")
    store.client.create_model_version("m", f"{run.info.artifact_uri}/model", run.info.run_id)
    store.client.set_terminated(run.info.run_id, "FINISHED")
    return str(run.info.run_id)


def notes(store: Store) -> set[str | None]:
    return {read_text(store, record, "note.txt") for record in trial_records(store)}


def addresses(path: Path) -> set[str]:
    """All addresses of artifacts that a database keeps, but for the experiment that MLflow makes for itself."""
    with closing(sqlite3.connect(path)) as connection:
        found = {
            address
            for table, column in database.ADDRESSES
            for (address,) in connection.execute(f"SELECT {column} FROM {table}")
        }
    return {address for address in found if not address.endswith("/mlruns/0")}


def refused(open_it: Callable[[], Any]) -> str:
    with pytest.raises(UserError) as caught:
        open_it()
    assert len(str(caught.value).splitlines()) <= 2
    return str(caught.value)


ODD = (
    "a b",
    "a#b",
    "a%20b",
    "a%b",
    "a'b",
    'a"b',
    "ä ö 日本",
    "a;b&c=d",
    "a@b:c",
    "a\\b",
    "$HOME",
    "a\nb",
    " a ",
    "a?b",
)


@pytest.mark.parametrize("name", ODD)
def test_a_store_works_whole_at_any_path(at, tmp_path, name):
    folder = tmp_path / name
    try:
        store = at(folder)
    except ValueError:
        assert "?" in name, "only a question mark may be refused, by an SQLAlchemy that cannot quote it"
        return
    run_id = keep_run(store)
    assert notes(store) == {"seven"}
    assert (folder / "artifacts" / run_id / "artifacts" / "note.txt").read_text() == "seven"
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {name}, "no other folder was made"
    assert store.is_file


def test_the_default_store_may_lie_at_an_odd_path(tmp_path, monkeypatch):
    monkeypatch.setattr("recurrent_cells.tracking.store.TRACKING", tmp_path / "a%20b")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert database.path_of(tracking_uri()) == tmp_path / "a%20b" / "mlflow.db"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("a?b/mlflow.db", "question mark"),
        ("/".join(["x" * 200] * 12) + "/mlflow.db", "bytes"),
        ("x" * 600, "bytes"),
        (":memory:", "names no file"),
    ],
)
def test_a_path_that_cannot_be_used_is_refused_at_once(tmp_path, monkeypatch, name, fault):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{name if name.startswith(':') else f'{tmp_path}/{name}'}")
    assert fault in refused(lambda: open_store("cells"))
    assert list(tmp_path.iterdir()) == []


def test_a_moved_store_is_followed(at, tmp_path):
    before, after = tmp_path / "before", tmp_path / "somewhere" / "after it"
    keep_run(at(before))
    after.parent.mkdir()
    before.rename(after)
    store = at(after)
    assert notes(store) == {"seven"}
    keep_run(store, "eight")
    assert notes(store) == {"seven", "eight"}
    assert all(address.startswith((after / "artifacts").as_uri()) for address in addresses(after / "mlflow.db"))
    assert not before.exists(), "nothing makes the old folder again"


def test_a_moved_store_without_runs_keeps_new_ones_where_it_is(at, tmp_path):
    at(tmp_path / "before")
    (tmp_path / "before").rename(tmp_path / "after")
    keep_run(at(tmp_path / "after"))
    assert not (tmp_path / "before").exists()


def test_a_copied_store_stands_for_itself(at, tmp_path):
    keep_run(at(tmp_path / "first"))
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    keep_run(at(tmp_path / "second"), "eight")
    shutil.rmtree(tmp_path / "second")
    assert notes(at(tmp_path / "first")) == {"seven"}


def test_artifacts_kept_elsewhere_on_purpose_stay_there(at, tmp_path):
    store, elsewhere = at(tmp_path / "here"), tmp_path / "big disk" / "artifacts"
    store.client.create_experiment("large", artifact_location=elsewhere.as_uri())
    elsewhere.parent.mkdir()
    at(tmp_path / "here")
    experiment = store.client.get_experiment_by_name("large")
    assert experiment.artifact_location == elsewhere.as_uri()


def in_a_process_of_nobody(act: Callable[[], None]) -> int:
    """The exit code of a process without rights that does something; 1 if it raises."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            act()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def open_to_all(tmp_path: Path) -> Path:
    """A folder that every user of the machine can enter."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    return tmp_path


def test_what_a_trial_writes_can_be_read_by_those_who_may_read_its_other_files(tmp_path):
    write_atomically(tmp_path / "best.ckpt", b"weights")
    (tmp_path / "config.yaml").write_text("model: gru")
    assert (tmp_path / "best.ckpt").stat().st_mode == (tmp_path / "config.yaml").stat().st_mode


@pytest.mark.parametrize("moved", [False, True], ids=["in place", "moved"])
def test_who_may_not_write_can_read(at, open_to_all, moved):
    folder = open_to_all / "before"
    run_id = keep_run(at(folder))
    if moved:
        folder = folder.rename(open_to_all / "after")
    before = (folder / "mlflow.db").read_bytes()

    def read() -> None:
        store = at(folder, reading=True)
        assert notes(store) == {"seven"}
        assert store.client.get_run(run_id).info.status == "FINISHED"
        assert store.address == f"sqlite:///{folder}/mlflow.db"
        assert store.folder == folder
        assert "cannot be written" in refused(lambda: at(folder))

    assert in_a_process_of_nobody(read) == 0
    assert (folder / "mlflow.db").read_bytes() == before


def test_who_may_write_reads_the_store_itself(at, tmp_path):
    assert at(tmp_path / "here", reading=True).original is None


def test_a_damaged_database_is_refused_in_a_line_and_left_alone(at, tmp_path):
    keep_run(at(tmp_path / "here"))
    path = tmp_path / "here" / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    content[8192:-4096] = os.urandom(len(content) - 12288)
    path.write_bytes(content)
    message = refused(lambda: at(tmp_path / "here"))
    assert message.startswith(f"{path}: ")
    assert path.read_bytes() == content


@pytest.mark.parametrize("schema", ["451aebb31d03", "a_later_one"])
def test_a_database_of_another_mlflow_is_refused_and_left_alone(at, tmp_path, schema):
    keep_run(at(tmp_path / "here"))
    path = tmp_path / "here" / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (schema,))
        connection.execute("DROP TABLE model_versions")
        connection.commit()
    message = refused(lambda: at(tmp_path / "here"))
    assert ("older MLflow" in message) == (schema != "a_later_one")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(schema,)]
        assert connection.execute("SELECT count(*) FROM runs").fetchall() == [(1,)]


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path, monkeypatch):
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE letters (text)")
    before = path.read_bytes()
    assert "something else" in refused(lambda: open_store("cells"))
    assert path.read_bytes() == before


def test_an_empty_file_becomes_a_store(at, tmp_path, monkeypatch, empty_store):
    made = []
    monkeypatch.setattr(database, "_make", made.append)
    (tmp_path / "mlflow.db").touch()
    refused(lambda: open_store("cells"))
    assert made == [tmp_path / "mlflow.db"]


def test_what_a_kill_leaves_of_a_new_store_is_removed(at, tmp_path):
    store = at(tmp_path / "here")
    (store.folder / ".new-store-abc").mkdir()
    (store.folder / ".new-store-abc" / "mlflow.db").touch()
    at(tmp_path / "here")
    assert not (store.folder / ".new-store-abc").exists()


def test_what_is_no_file_is_no_store(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/pipe")
    with pytest.raises(UserError, match="it names no file"):
        open_store("recurrent-cells")
    assert (tmp_path / "pipe").is_fifo()
