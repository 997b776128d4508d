"""Watch a sweep on a page that this machine serves, live: [sweep=latest] [PORT]."""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from recurrent_cells.cli.arguments import Arguments, port_of, run_command
from recurrent_cells.cli.listening import HOST, listen
from recurrent_cells.imports import uncollected

if TYPE_CHECKING:
    import socket

PORT = 8001
KEYS = {
    "sweep": "latest, or a sweep's run id or its beginning",
    "port": f"a number up to 65535, {PORT} by default; 0 takes any that is free",
}


def main(arguments: Sequence[str]) -> None:
    """Serve until a signal; exits with 2 on bad input."""
    named = [argument if "=" in argument or argument.startswith("-") else f"port={argument}" for argument in arguments]
    run_command(__doc__, KEYS, named, _watch)


def _watch(arguments: Arguments) -> None:
    with listen("watch", port_of("watch", arguments.values["port"], PORT)) as listener:
        _serve(listener, arguments.get("sweep") or "latest")


def _serve(listener: "socket.socket", which: str) -> None:
    with uncollected():
        from recurrent_cells.config.schema import EXPERIMENT
        from recurrent_cells.serving.connections import http_server
        from recurrent_cells.serving.watch.app import create_app
        from recurrent_cells.serving.watch.sweep import WatchedSweep
        from recurrent_cells.tracking.store import open_store

    sweep, token = WatchedSweep(open_store(EXPERIMENT, reading=True), which), secrets.token_urlsafe(16)
    address = f"http://{HOST}:{listener.getsockname()[1]}/#token={token}"
    greeting = f"{sweep.parent.name}\nWatch and steer: {address}"
    server = http_server(create_app(sweep, token), lambda: print(greeting, flush=True))
    with suppress(KeyboardInterrupt):  # how a server is ended
        server.run(sockets=[listener])
