"""Serve trained networks on this machine, with a page on which to draw: [port]."""

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from recurrent_cells.cli.arguments import answer, port_of
from recurrent_cells.errors import UserError
from recurrent_cells.paths import command

if TYPE_CHECKING:
    from recurrent_cells.serving.models import Models

HOST = "127.0.0.1"
PORT = 8000
BACKLOG = 256


def main(arguments: Sequence[str]) -> None:
    """Serve until a signal; exits with 2 on bad input."""

    def act() -> None:
        with _bind(port_of("serve", arguments, PORT)) as listener:
            _serve(listener)

    answer(f"{__doc__}\n  port: a number up to 65535, {PORT} by default; 0 takes any that is free", arguments, act)


def _bind(port: int) -> socket.socket:
    """A socket that listens; raises UserError if the port is taken."""
    listener = socket.socket(proto=socket.IPPROTO_TCP)  # said, so that asyncio sends small answers at once
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(BACKLOG)  # from here on whoever comes is kept waiting, not refused
    except OSError as error:
        listener.close()
        raise UserError(f"port {port}: {error.strerror}; {command('serve')} 0 takes one that is free") from None
    return listener


def _serve(listener: socket.socket) -> None:
    from recurrent_cells.config.schema import EXPERIMENT
    from recurrent_cells.serving.app import create_app
    from recurrent_cells.serving.connections import http_server
    from recurrent_cells.serving.models import load_models
    from recurrent_cells.tracking.store import open_store
    from recurrent_cells.training.device import use_threads

    use_threads(1)
    models = load_models(open_store(EXPERIMENT, reading=True))
    greeting = "\n".join(_greeting(models, listener.getsockname()[1]))
    server = http_server(create_app(models), lambda: print(greeting, flush=True))
    with suppress(KeyboardInterrupt):  # how a server is ended
        server.run(sockets=[listener])


def _greeting(models: "Models", port: int) -> list[str]:
    address, scoring = f"http://{HOST}:{port}", models.scoring.record
    watched = ", ".join(trained.record.name for trained in models.by_cell.values())
    return [
        f"Draw {'a digit' if models.scoring.network.is_image else 'a series'}: {address}/",
        f"{'Row by row' if models.scoring.network.is_image else 'Step by step'}: {watched or 'none'}",
        *(f"Left out: {cell}, {reason}" for cell, reason in models.left_out.items()),
        f"{address}/invocations is answered by {scoring.name}, run {scoring.run_id} ({models.choice})",
    ]
