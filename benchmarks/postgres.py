"""A tracking server to try things on: PostgreSQL and MLflow before it, on 127.0.0.1 until Ctrl-C.

    python -m benchmarks.postgres [port]

Needs PostgreSQL's programs and the extra `server`; database and artifacts stay in mlruns/server.
"""

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from recurrent_cells.paths import TRACKING

SYSTEM_USER = "postgres"  # the database refuses to run as root
DATABASE, OWNER = "mlflow", "mlflow"
SECONDS_TO_START = 600.0


class NoPostgres(Exception):
    """PostgreSQL, or what MLflow needs to speak to it, is not installed."""


class Process:
    """A process and what it starts, ended together.

    Args:
        ready: whether it does its work.
    """

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str], ready: Callable[[], bool]
    ) -> None:
        self._command, self._log, self._environment, self._ready = command, log, environment, ready
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready; raises TimeoutError."""
        with self._log.open("ab") as output:
            self._running = subprocess.Popen(
                self._command,
                cwd="/",  # it writes nothing into its working directory then
                env={**os.environ, **self._environment},
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for this process, which ends them in order
            )
        deadline = time.monotonic() + SECONDS_TO_START
        while not self._ready():
            if self._running.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"it does not start: {self._log}")
            time.sleep(0.2)

    def kill(self, signum: int = signal.SIGKILL) -> None:
        """Send a signal to all of its group, and wait until they and what they have started are gone."""
        if self._running is not None:
            started: list[psutil.Process] = []
            with suppress(ProcessLookupError, psutil.NoSuchProcess):
                started = psutil.Process(self._running.pid).children(recursive=True)
                os.killpg(self._running.pid, signum)
            self._running.wait(timeout=20)
            psutil.wait_procs(started, timeout=20)  # PostgreSQL's own are in other groups, and end by themselves

    def end(self) -> None:
        try:
            self.kill(signal.SIGTERM)
        except subprocess.TimeoutExpired:
            self.kill()


@dataclass(frozen=True)
class Server:
    """Where clients find the server, and the server its database."""

    uri: str
    database: str
    processes: Mapping[str, Process]


@contextmanager
def tracking_server(folder: Path, port: int = 0, options: tuple[str, ...] = ()) -> Iterator[Server]:
    """An MLflow server on a PostgreSQL of its own, both ended with the body.

    Args:
        folder: where database and artifacts are, or will be.
        port: 0 is any that is free.
        options: more for `mlflow server`.

    Raises:
        NoPostgres: if a program or package is missing.
        TimeoutError: if one of them does not start; its log is in the folder.
    """
    programs = _programs()
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    with ExitStack() as running:
        database, postgres = running.enter_context(_postgres(folder, programs))
        command = ["--host", "127.0.0.1", "--port", str(port), "--workers", "2"]
        command += ["--artifacts-destination", str(folder / "artifacts"), *options]
        environment = {
            "MLFLOW_BACKEND_STORE_URI": database,  # not on the command line, where every user sees its password
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # a dozen processes that curves do not need
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        command, uri = [sys.executable, "-m", "mlflow", "server", *command], f"http://127.0.0.1:{port}"
        server = Process(command, folder / "mlflow.log", environment, lambda: _answers(f"{uri}/health"))
        running.callback(server.end)
        server.start()
        yield Server(uri, database, {"the server": server, "the database": postgres})


def _programs() -> dict[str, str]:
    """Where the programs are; Debian keeps them out of the PATH."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise NoPostgres("psycopg is missing: pip install --editable '.[server]'") from None
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = {
        name: shutil.which(name) or next((str(folder / name) for folder in folders if (folder / name).exists()), "")
        for name in ("initdb", "postgres")
    }
    if missing := [name for name, path in found.items() if not path]:
        raise NoPostgres(f"no {' and no '.join(missing)}: install PostgreSQL (on Debian: apt-get install postgresql)")
    return found


@contextmanager
def _postgres(folder: Path, programs: dict[str, str]) -> Iterator[tuple[str, Process]]:
    """A database server: the URI of its database, made if missing, and the process."""
    import psycopg

    data, password_file, port = folder / "postgres", folder / "password", free_port()
    if not password_file.exists():
        password_file.write_text(secrets.token_hex(16))
        password_file.chmod(0o600)
    if not (data / "PG_VERSION").exists():
        data.mkdir(mode=0o700, exist_ok=True)
        _give_to_system_user(data, password_file)
        command = [programs["initdb"], "--pgdata", str(data), "--username", OWNER, "--encoding", "UTF8"]
        command += ["--auth", "scram-sha-256", "--pwfile", str(password_file)]
        subprocess.run([*_as_system_user(), *command], cwd="/", check=True, stdout=subprocess.DEVNULL)
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "max_connections": 200}
    arguments = [item for key, value in settings.items() for item in ("-c", f"{key}={value}")]
    command = [*_as_system_user(), programs["postgres"], "-D", str(data), *arguments]
    login = {"host": "127.0.0.1", "port": port, "user": OWNER, "password": password_file.read_text()}

    def connects() -> bool:
        with suppress(psycopg.OperationalError):
            psycopg.connect(dbname="postgres", **login).close()
            return True
        return False

    server = Process(command, folder / "postgres.log", {}, connects)
    try:
        server.start()
        connection = psycopg.connect(dbname="postgres", **login)
        connection.autocommit = True
        with connection.cursor() as cursor, suppress(psycopg.errors.DuplicateDatabase):
            cursor.execute(f"CREATE DATABASE {DATABASE}")
        connection.close()
        yield f"postgresql+psycopg://{OWNER}:{login['password']}@127.0.0.1:{port}/{DATABASE}", server
    finally:
        server.end()


def _as_system_user() -> list[str]:
    return ["runuser", "-u", SYSTEM_USER, "--"] if getpass.getuser() == "root" else []


def _give_to_system_user(*paths: Path) -> None:
    """Let the database read and write them, which a folder of root's alone would prevent."""
    if _as_system_user():
        for path in paths:
            shutil.chown(path, SYSTEM_USER)
        for above in paths[0].parents:
            above.chmod(above.stat().st_mode | 0o001)


def _answers(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(address, timeout=2):
        return True
    return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it too ends the servers
    try:
        with tracking_server(TRACKING / "server", int(sys.argv[1]) if len(sys.argv) > 1 else 5001) as server:
            print(f"export MLFLOW_TRACKING_URI={server.uri}", flush=True)
            signal.pause()
    except NoPostgres as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
