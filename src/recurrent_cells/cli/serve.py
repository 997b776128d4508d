"""Serve trained networks on this machine, with a page on which to draw: [port]."""

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from recurrent_cells.cli.arguments import answer, port_of
from recurrent_cells.cli.listening import HOST, listen
from recurrent_cells.imports import uncollected

if TYPE_CHECKING:
    from recurrent_cells.serving.models import Models

PORT = 8000


def main(arguments: Sequence[str]) -> None:
    """Serve until a signal; exits with 2 on bad input."""

    def act() -> None:
        with listen("serve", port_of("serve", arguments, PORT)) as listener:
            _serve(listener)

    answer(f"{__doc__}\n  port: a number up to 65535, {PORT} by default; 0 takes any that is free", arguments, act)


def _serve(listener: socket.socket) -> None:
    with uncollected():
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
        *(f"Left out: {', '.join(cells)}: {reason}" for reason, cells in models.reasons.items()),
        f"{address}/invocations is answered by {scoring.name}, run {scoring.run_id} ({models.choice})",
    ]
