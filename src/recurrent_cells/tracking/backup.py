"""A whole copy of a local store's database beside it, and the upgrade of one that an older MLflow wrote."""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from datetime import datetime
from pathlib import Path

from recurrent_cells.errors import UserError
from recurrent_cells.tracking.database import NEW, OtherSchema, check, copy, fault_in, is_writable, uri_of
from recurrent_cells.tracking.locks import alone
from recurrent_cells.tracking.patience import reason
from recurrent_cells.tracking.store import database_path, quiet_mlflow, tracking_uri


def secure() -> list[str]:
    """Copy the database of a local store, and upgrade it where an older MLflow wrote it; what was done, in lines.

    Raises:
        UserError: if it is damaged, of a later MLflow or no store at all.
    """
    quiet_mlflow()
    uri = tracking_uri()
    if not uri.startswith(("sqlite:", "sqlite+")):
        return []
    path = database_path(uri)
    if not path.exists() or not is_writable(path):
        return []
    kept = path.with_name(f"{path.name}.backup")
    _copy_whole(path, kept)
    try:
        check(path)
    except OtherSchema:
        before = kept.rename(path.with_name(f"{path.name}.before-upgrade"))
        _upgrade(path)
        return [f"upgraded to the schema of this MLflow; as it was it lies in {before}"]
    return [f"a copy is kept in {kept}"]


def _copy_whole(path: Path, kept: Path) -> None:
    """Copy a database in the place of an earlier copy; a damaged one never takes the place of a whole one."""
    new = kept.with_name(f"{kept.name}.new")
    try:
        copy(path, new)
        with closing(sqlite3.connect(new)) as connection:
            fault = fault_in(connection)
            if fault:
                raise sqlite3.DatabaseError(fault)
        new.replace(kept)
    except (sqlite3.Error, OSError) as error:
        new.unlink(missing_ok=True)
        way_out = "no copy is kept"
        if kept.exists():
            way_out = f"move it away and {kept} into its place, a copy of {_date(kept)}"
        raise UserError(f"{path}: it cannot be copied whole ({reason(error)});\n{way_out}") from None


def _date(path: Path) -> str:
    return f"{datetime.fromtimestamp(path.stat().st_mtime):%Y-%m-%d %H:%M}"


def _upgrade(path: Path) -> None:
    """Bring a database to the schema of this MLflow: a copy first, which takes its place when it is whole."""
    from mlflow.store.db.utils import _upgrade_db, create_sqlalchemy_engine

    with alone(path.parent, "new-store"), tempfile.TemporaryDirectory(dir=path.parent, prefix=NEW) as scratch:
        fresh = Path(scratch) / path.name
        try:
            with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode=DELETE")  # fails where another process has it open
            shutil.copy(path, fresh)
            engine = create_sqlalchemy_engine(uri_of(fresh))
            _upgrade_db(engine)
            engine.dispose()
            fresh.replace(path)
        except Exception as error:  # whatever a migration raises
            raise UserError(f"{path}: it cannot be upgraded ({reason(error)}); it is as it was") from None
