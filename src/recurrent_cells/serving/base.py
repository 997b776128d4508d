"""What the servers have in common: who may ask, how large and how slow a request may be, how one is refused."""

import asyncio
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NoReturn

from fastapi import FastAPI, Request, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

JSON = "application/json"
MOST_BYTES = 1 << 20
# A body that is too large is read on up to here: a client that still sends would not hear the answer.
MOST_READ = 8 * MOST_BYTES
# Seconds a request's body may take to arrive.
BODY_TIMEOUT = 10.0
# Statuses given before all of the body is read: the connection is closed.
UNREAD = (403, 408, 413)
# The names of this machine by which a page may ask. A name that an attacker's server gives to 127.0.0.1 is another.
LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")


class BadRequest(Exception):
    """A request that is refused, with an HTTP status and one line that says why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def base_app() -> FastAPI:
    """An application without routes that answers this machine alone, and errors in JSON."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.add_middleware(LocalOnly)

    @app.exception_handler(BadRequest)
    async def refused(_: Request, error: BadRequest) -> Response:
        return refusal(error.status, str(error), {"connection": "close"} if error.status in UNREAD else {})

    @app.exception_handler(HTTPException)
    async def not_found(request: Request, error: HTTPException) -> Response:
        return refusal(error.status_code, f"{request.method} {request.url.path}: {error.detail}", error.headers or {})

    return app


class LocalOnly:
    """Refuses requests that a page of another origin, or a name that is not this machine's, sends."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = _foreign(Headers(scope=scope)) if scope["type"] == "http" else ""
        answering = refusal(403, fault, {"connection": "close"}) if fault else self._app
        await answering(scope, receive, send)


def _foreign(headers: Headers) -> str:
    """Why a request is not from this machine, empty if it is."""
    host, origin = headers.get("host", ""), headers.get("origin")
    name, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "")
    if name.lower() not in LOCAL_NAMES or not (port or "0").isdecimal():
        return f"host {host[:80]}: allowed are {', '.join(LOCAL_NAMES)}"
    if origin is not None and origin.lower() != f"http://{host.lower()}":
        return f"origin {origin[:80]}: allowed is this server's own page"
    return ""


async def read_body(request: Request, timeout: float, kinds: Collection[str] = (JSON,)) -> bytes:
    """The body of a request; raises BadRequest if it is too large, too slow, cut off or declared as of another kind."""
    body, received = bytearray(), 0
    try:
        async with asyncio.timeout(timeout):
            async for part in request.stream():
                received += len(part)
                if received <= MOST_BYTES:
                    body += part
                elif received > MOST_READ:
                    break
    except TimeoutError:
        raise BadRequest(408, f"the body took more than {timeout:g} s to arrive") from None
    except ClientDisconnect:
        raise BadRequest(400, "the body was cut off") from None
    if received > MOST_BYTES:
        raise BadRequest(413, f"the body is too large; allowed is 1 MiB ({MOST_BYTES:,} bytes)")
    kind = content_type(request)
    if kind not in kinds:
        raise BadRequest(415, f"content-type {kind or 'is missing'}: allowed is {', '.join(kinds)}")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise BadRequest(415, "content-encoding: allowed is a body that is not compressed")
    return bytes(body)


def content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body; raises BadRequest for anything else, and for numbers that are not finite."""
    try:
        content = json.loads(body.decode(), parse_constant=_refuse_constant)
    except BadRequest:
        raise
    except (ValueError, RecursionError):  # a UnicodeDecodeError is a ValueError
        raise BadRequest(400, "the body is not JSON") from None
    if not isinstance(content, dict):
        raise BadRequest(400, "the body is not a JSON object")
    return content


def _refuse_constant(name: str) -> NoReturn:
    raise BadRequest(400, f"{name}: allowed are finite numbers")


def file_response(path: Path, kind: str, policy: str) -> Response:
    """A file of a page.

    Args:
        kind: its media type.
        policy: from where the page may load, besides nothing.
    """
    headers = {"content-security-policy": f"default-src 'none'; {policy}", "cache-control": "no-cache"}
    return Response(path.read_bytes(), media_type=kind, headers=headers)


def refusal(status: int, words: str, headers: Mapping[str, str]) -> Response:
    return Response(json.dumps({"error": words}), status, headers, "application/json")
