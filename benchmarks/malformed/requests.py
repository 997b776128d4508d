"""Requests that a server must refuse, as bytes on the wire, and how to send them."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

SIDE = 28
PIXELS = SIDE * SIDE
IMAGE = [[0] * SIDE] * SIDE
CLOSED = "closed"


@dataclass(frozen=True)
class Malformed:
    """A request; one that is cut off ends after its bytes, one with a pause comes byte by byte."""

    name: str
    content: bytes
    cut_off: bool = False
    pause: float = 0.0


def request(
    path: str, body: bytes, *headers: str, method: str = "POST", kind: str | None = "application/json"
) -> bytes:
    """A request as bytes; its length is among the headers unless one of them says how long it is."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    if kind is not None:
        lines.append(f"Content-Type: {kind}")
    if not any(header.lower().startswith(("content-length", "transfer-encoding")) for header in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def malformed_requests(pause: float = 1.0) -> list[Malformed]:
    """All of them; slow ones come with so many seconds between bytes."""
    found = [*_not_json(), *_wrong_values(), *_wrong_objects(), *_wrong_headers(), *_wrong_methods(), *_wrong_http()]
    return [*found, *_too_large(), *_cut_off(), *_slow(pause)]


def _not_json() -> Iterator[Malformed]:
    bodies = {
        "nothing": b"",
        "a brace": b"{",
        "a bracket": b"[",
        "half a word": b"nul",
        "no text": b"\xff\xfe\x00\x01",
        "UTF-16": '{"image": [[0]]}'.encode("utf-16"),
        "a byte order mark": b'\xef\xbb\xbf{"image": [[0]]}',
        "single quotes": b"{'image': [[0]]}",
        "a trailing comma": b'{"image": [[0]],}',
        "two values": b"{} {}",
        "XML": b"<image/>",
        "CSV": b"0,0,0\n0,0,0\n",
        "null": b"null",
        "true": b"true",
        "a number": b"1",
        "a text": b'"image"',
        "a list": b"[]",
        "NaN": b"NaN",
        "deep lists": b"[" * 100_000,
        "deep objects": b'{"image":' * 50_000,
        "deep and closed": b"[" * 100_000 + b"]" * 100_000,
        "an integer of 10,000 digits": b'{"image": [[' + b"9" * 10_000 + b"]]}",
    }
    for path in ("/invocations", "/rows"):
        for name, body in bodies.items():
            yield Malformed(f"{path}: {name}", request(path, body))


def _wrong_values() -> Iterator[Malformed]:
    values: dict[str, Any] = {
        "null": None,
        "true": True,
        "a text": "image",
        "a number": 1,
        "an object": {"0": IMAGE},
        "nothing": [],
        "a list of nothing": [[]],
        "nothing, deeper": [[[]]],
        "nulls": [[None] * PIXELS],
        "texts": [["0"] * PIXELS],
        "truths": [[True] * PIXELS],
        "one text among numbers": [[0] * (PIXELS - 1) + ["0"]],
        "rows of different lengths": [[0] * PIXELS, [0]],
        "objects": [{"pixel": 0}],
        "one negative": [[0] * (PIXELS - 1) + [-1]],
        "one too bright": [[0] * (PIXELS - 1) + [256]],
        "a number without end": [[0] * (PIXELS - 1) + [10**400]],
        "an integer of 70 bits": [[0] * (PIXELS - 1) + [2**70]],
        "NaN": [[0] * (PIXELS - 1) + [float("nan")]],
        "infinity": [[0] * (PIXELS - 1) + [float("inf")]],
        "minus infinity": [[0] * (PIXELS - 1) + [float("-inf")]],
        "four dimensions": [[IMAGE]],
        "sixty dimensions": json.loads("[" * 60 + "0" + "]" * 60),
        "a hundred dimensions": json.loads("[" * 100 + "0" + "]" * 100),
    }
    only_scored = {
        "one image, not a list of them": IMAGE,
        "one flat image": [0] * PIXELS,
        "too narrow": [[row[1:] for row in IMAGE]],
        "too high": [[*IMAGE, IMAGE[0]]],
        "a pixel too few": [[0] * (PIXELS - 1)],
        "1,001 images of a pixel": [[0]] * 1001,
    }
    only_drawn = {"a row": [0] * SIDE, "too wide": [[0] * 1025], "too high": [[0]] * 1025}
    for form in ("instances", "inputs", "dataframe_split", "image"):
        path = "/rows" if form == "image" else "/invocations"
        for name, value in (values | (only_drawn if form == "image" else only_scored)).items():
            content = {form: {"data": value} if form == "dataframe_split" else value}
            yield Malformed(f"{form}: {name}", request(path, json.dumps(content).encode()))
    too_far = json.dumps({"image": [[0, 1]]}).replace("1", "1e999")
    yield Malformed("image: 1e999", request("/rows", too_far.encode()))


def _wrong_objects() -> Iterator[Malformed]:
    images = [IMAGE]
    scored: dict[str, Any] = {
        "no key": {},
        "another key": {"images": images},
        "two forms": {"instances": images, "inputs": images},
        "a form and another key": {"instances": images, "params": {}},
        "a frame as a list": {"dataframe_split": images},
        "a frame without data": {"dataframe_split": {"columns": []}},
        "records": {"dataframe_records": [{"0": 0}]},
        "a drawing": {"image": IMAGE},
    }
    drawn: dict[str, Any] = {"no key": {}, "images": {"instances": images}, "two keys": {"image": IMAGE, "size": 28}}
    for path, contents in (("/invocations", scored), ("/rows", drawn)):
        for name, content in contents.items():
            yield Malformed(f"{path}: {name}", request(path, json.dumps(content).encode()))


def _wrong_headers() -> Iterator[Malformed]:
    good = {"/invocations": json.dumps({"instances": [IMAGE]}), "/rows": json.dumps({"image": IMAGE})}
    kinds = (None, "", "text/plain", "text/csv", "application/xml", "multipart/form-data; boundary=x", "json", "*/*")
    for path, content in good.items():
        body = content.encode()
        for kind in kinds:
            yield Malformed(f"{path} as {kind}", request(path, body, kind=kind))
        for encoding in ("gzip", "br", "deflate"):
            yield Malformed(f"{path} in {encoding}", request(path, body, f"Content-Encoding: {encoding}"))
        for length in ("-1", "x", "1.5", "0x10", "9" * 30, "1, 2", "", "+5"):
            yield Malformed(f"{path}, length {length}", request(path, body, f"Content-Length: {length}"))
        for coding in ("gzip", "chunked, gzip", "identity", "x"):
            yield Malformed(f"{path}, coding {coding}", request(path, body, f"Transfer-Encoding: {coding}"))
        for name, chunk in {
            "no size": b"x\r\n",
            "a negative size": b"-5\r\nabcde\r\n",
            "no end": b"5\r\nabcdefgh",
        }.items():
            content_in_chunks = request(path, chunk, "Transfer-Encoding: chunked")
            yield Malformed(f"{path}, a chunk with {name}", content_in_chunks, cut_off=True)


def _wrong_methods() -> Iterator[Malformed]:
    for path in ("/invocations", "/rows"):
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW", "post"):
            yield Malformed(f"{method} {path}", request(path, b"", method=method))
    for path in ("/", "/ping", "/health", "/version", "/networks"):
        for method in ("POST", "DELETE"):
            yield Malformed(f"{method} {path}", request(path, b"{}", method=method))
    for path in ("/nothing", "/../../etc/passwd", "/%00", "/%ff", "//", "/invocations/", "/docs", "/openapi.json", "*"):
        yield Malformed(f"GET {path}", request(path, b"", method="GET"))


def _wrong_http() -> Iterator[Malformed]:
    start = b"GET /ping HTTP/1.1\r\n"
    contents = {
        "no host": start + b"\r\n",
        "two hosts": start + b"Host: a\r\nHost: b\r\n\r\n",
        "a header without a colon": start + b"Host: a\r\nnothing\r\n\r\n",
        "a header without a name": start + b"Host: a\r\n: x\r\n\r\n",
        "a name with a space": start + b"Host: a\r\nX Y: x\r\n\r\n",
        "a value with a zero": start + b"Host: a\r\nX: \x00\r\n\r\n",
        "a header of 1,000,000 bytes": start + b"Host: a\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
        "200,000 headers": start + b"Host: a\r\n" + b"X: x\r\n" * 200_000 + b"\r\n",
        "a path of 1,000,000 bytes": b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        "a path with a space": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "a path with bytes": b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        "no path": b"GET HTTP/1.1\r\nHost: a\r\n\r\n",
        "no version": b"GET /ping\r\nHost: a\r\n\r\n",
        "another protocol": b"GET /ping SPDY/1\r\nHost: a\r\n\r\n",
        "a greeting in TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "zeros": bytes(1000),
        "noise": bytes(range(256)) * 20 + b"\r\n\r\n",
    }
    for name, content in contents.items():
        yield Malformed(name, content)


def _too_large() -> Iterator[Malformed]:
    for path, key in (("/invocations", "instances"), ("/rows", "image")):
        body = json.dumps({key: [[0] * 700_000]}).encode()
        yield Malformed(f"{path}: 2 MiB", request(path, body))
        chunks = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        yield Malformed(f"{path}: 2 MiB in chunks", request(path, chunks, "Transfer-Encoding: chunked"))
        yield Malformed(f"{path}: said to be 1 TiB", request(path, b"{", f"Content-Length: {1 << 40}"))


def _cut_off() -> Iterator[Malformed]:
    whole = request("/invocations", json.dumps({"instances": [IMAGE]}).encode())
    for share in (0.001, 0.01, 0.03, 0.1, 0.5, 0.9, 0.999):
        yield Malformed(f"{share:.1%} of a request", whole[: int(len(whole) * share)], cut_off=True)
    yield Malformed("nothing at all", b"", cut_off=True)


def _slow(pause: float) -> Iterator[Malformed]:
    body = json.dumps({"image": IMAGE}).encode()
    yield Malformed("a slow request line", request("/rows", body), pause=pause)
    head, rest = request("/rows", body)[: -len(body)], body
    yield Malformed("a slow body", head + rest, pause=pause / 10)
    yield Malformed("a body that never comes", head, pause=pause / 1000)
    yield Malformed("nothing is said", b"", pause=pause)


def send(port: int, malformed: Malformed, patience: float) -> str:
    """The status that a request is answered with, or `closed`.

    Raises:
        TimeoutError: if it is neither answered nor closed within so many seconds.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        with suppress(ConnectionError):
            if malformed.pause:
                _trickle(connection, malformed, patience)
            else:
                connection.sendall(malformed.content)
            if malformed.cut_off:
                connection.shutdown(socket.SHUT_WR)
        connection.settimeout(patience)
        try:
            answer = http.client.HTTPResponse(connection)
            answer.begin()
        except (ConnectionError, http.client.HTTPException):
            return CLOSED
        return str(answer.status)


def _trickle(connection: socket.socket, malformed: Malformed, patience: float) -> None:
    """Send bytes one by one until there is an answer."""
    end = time.monotonic() + patience
    connection.settimeout(malformed.pause)
    for byte in malformed.content:
        connection.sendall(bytes([byte]))
        try:
            connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            if time.monotonic() > end:
                raise
        else:
            return


def is_refused(answer: str) -> bool:
    """Whether it is a 4xx or a closed connection."""
    return answer == CLOSED or answer.startswith("4")
