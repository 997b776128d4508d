"""The copy of a store's database that the doctor keeps, and the upgrade of an older one."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from recurrent_cells.errors import UserError
from recurrent_cells.tracking.backup import secure
from recurrent_cells.tracking.database import _schemas, check, uri_of
from recurrent_cells.tracking.store import open_store


def runs_in(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])


def test_the_copy_has_what_others_have_just_written(store_file):
    store = open_store("cells")
    for count in (1, 2):
        store.client.create_run(store.experiment_id)
        secure()
        assert runs_in(store_file.with_name("mlflow.db.backup")) == count
    assert not list(store_file.parent.glob("*.new"))


def test_a_damaged_database_never_takes_the_place_of_a_whole_copy(store_file):
    store = open_store("cells")
    store.client.create_run(store.experiment_id)
    store.disconnect()
    secure()
    kept = store_file.with_name("mlflow.db.backup")
    with closing(sqlite3.connect(store_file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = kept.read_bytes()
    content = store_file.read_bytes()
    store_file.write_bytes(content[:4096] + os.urandom(len(content) - 4096))
    with pytest.raises(UserError, match="cannot be copied whole") as caught:
        secure()
    assert str(kept) in str(caught.value)
    assert kept.read_bytes() == whole
    kept.replace(store_file)
    assert runs_in(store_file) == 1
    check(store_file)


@pytest.mark.slow
def test_a_store_of_an_older_mlflow_is_copied_and_upgraded(tmp_path):
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine
    from mlflow.store.tracking.dbmodels.initial_models import Base

    path = tmp_path / "mlflow.db"
    engine = create_sqlalchemy_engine(uri_of(path))
    Base.metadata.create_all(engine)
    config = _get_alembic_config(uri_of(path))
    latest = ScriptDirectory.from_config(config).get_revision(_schemas()[0])
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, latest.down_revision)
    engine.dispose()
    with pytest.raises(UserError, match=r"an older MLflow wrote it; .* upgrades it"):
        open_store("cells")
    (said,) = secure()
    before = tmp_path / "mlflow.db.before-upgrade"
    assert str(before) in said
    assert open_store("cells").experiment == "cells"
    with closing(sqlite3.connect(before)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(latest.down_revision,)]


def test_a_file_that_is_no_store_is_left_alone(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"notes" * 1000)
    with pytest.raises(UserError):
        secure()
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
    assert (tmp_path / "mlflow.db").read_bytes() == b"notes" * 1000


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    assert secure() == []
    assert list(tmp_path.iterdir()) == []
