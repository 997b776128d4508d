"""Connections that are closed if a request takes too long to arrive."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

# Seconds in which the whole of the next request must arrive on a connection.
REQUEST_TIMEOUT = 15.0
# More at once are answered with 503.
MOST_CONNECTIONS = 200
SECONDS_TO_FINISH = 3


class TimedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with a time limit for whole requests."""

    timeout = REQUEST_TIMEOUT

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_watching()

    def _watch(self) -> None:
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._stop_watching()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.timeout, self.transport.abort)

    def _stop_watching(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class AnnouncedServer(uvicorn.Server):
    """A server that says when it answers, and from then on ends at a signal."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()


def http_server(app: FastAPI, announce: Callable[[], None]) -> uvicorn.Server:
    """A server that logs its own errors alone; `run(sockets=…)` gives it the socket to listen on.

    Args:
        announce: is called once the server answers.
    """
    config = uvicorn.Config(
        app,
        http=TimedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=SECONDS_TO_FINISH,
    )
    return AnnouncedServer(config, announce)
