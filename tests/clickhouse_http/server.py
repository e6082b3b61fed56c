"""A front that speaks ClickHouse's HTTP interface over chDB, for tests of the way to a ClickHouse server.

    python -m tests.clickhouse_http.server --path DIR [--password PW]

Prints its port, and ends when its standard input closes. It runs in a process of its own, since chDB has one
engine per process. It speaks what is written down of the interface and what clickhouse-connect uses of it:
the query in the ``query`` parameter, the body or a form; ``param_*``, ``database`` and settings beside it;
INSERT with data in the body; compression either way; errors with their code in a header.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gzip
import json
import os
import re
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import chdb
import lz4.frame
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

# Parameters of the interface that are no settings of a query.
TRANSPORT_PARAMETERS = frozenset(
    {
        "query",
        "database",
        "default_format",
        "session_id",
        "session_timeout",
        "session_check",
        "query_id",
        "quota_key",
        "user",
        "password",
        "role",
        "compress",
        "decompress",
        "buffer_size",
        "wait_end_of_query",
        "enable_http_compression",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "client_protocol_version",
    }
)
MAX_FORM_BYTES = 64 * 1024 * 1024
AUTHENTICATION_FAILED = 516
HTTP_STATUS_OF_CODE = {62: 400, 60: 404, 81: 404, 46: 404, 47: 404, 164: 500, AUTHENTICATION_FAILED: 403}

_INSERT_WITH_DATA = re.compile(
    rb"^\s*INSERT\s+INTO\s+(.+?)\s+FORMAT\s+(\w+)[ \t]*(?:\n|$)", re.IGNORECASE | re.DOTALL
)
_TRAILING_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_ERROR_CODE = re.compile(r"Code: (\d+)")

_COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {"lz4": lz4.frame.compress, "gzip": gzip.compress}
_DECOMPRESS: Mapping[str, Callable[[bytes], bytes]] = {"lz4": lz4.frame.decompress, "gzip": gzip.decompress}


@dataclass(frozen=True)
class Call:
    """One query as it came over HTTP."""

    sql: bytes
    data: bytes = b""
    database: str = "default"
    default_format: str = "TabSeparated"
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What the engine made of a call."""

    body: bytes
    fmt: str
    rows_read: int


class Engine:
    """chDB on one directory. Each call has a handle of its own, as on a server a context of its own."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._keeps_engine_alive = chdb.connect(self._path)

    def run(self, call: Call) -> Answer:
        """Run `call`; raises RuntimeError with ClickHouse's message."""
        handle = chdb.connect(self._path)
        try:
            handle.query(f"USE `{call.database}`")
            # readonly last: nothing can be set after it
            for name, value in sorted(call.settings.items(), key=lambda item: item[0] == "readonly"):
                handle.query(f"SET {_checked_name(name)} = {_quoted(value)}")
            return self._run_on(handle, call)
        finally:
            handle.close()

    def _run_on(self, handle: chdb.Connection, call: Call) -> Answer:
        insert = _INSERT_WITH_DATA.match(call.sql)
        if insert is not None:
            data = call.sql[insert.end() :] + call.data
            return self._insert(handle, insert.group(1).decode(), insert.group(2).decode(), data)
        sql = call.sql.decode() + call.data.decode()
        trailing = _TRAILING_FORMAT.search(sql)
        fmt = trailing.group(1) if trailing else call.default_format
        result = handle.query(sql, fmt, params=dict(call.parameters))
        return Answer(result.bytes() or b"", fmt, result.rows_read())

    def _insert(self, handle: chdb.Connection, target: str, fmt: str, data: bytes) -> Answer:
        with tempfile.NamedTemporaryFile(suffix=".insert") as file:
            file.write(data)
            file.flush()
            result = handle.query(f"INSERT INTO {target} FROM INFILE {_quoted(file.name)} FORMAT {fmt}")
            return Answer(b"", fmt, result.rows_read())


def make_app(engine: Engine, password: str) -> Starlette:
    """Return the interface over `engine`, for the user ``default`` with `password`."""

    async def ping(request: Request) -> Response:
        return PlainTextResponse("Ok.\n")

    async def query(request: Request) -> Response:
        if not _is_let_in(request, password):
            return _error(f"Code: {AUTHENTICATION_FAILED}. DB::Exception: Wrong. (AUTHENTICATION_FAILED)")
        try:
            answer = await asyncio.to_thread(engine.run, await _read_call(request))
        except (RuntimeError, ValueError) as error:
            return _error(str(error))
        return _compressed(request, answer)

    return Starlette(routes=[Route("/ping", ping), Route("/", query, methods=["GET", "POST"])])


async def _read_call(request: Request) -> Call:
    values = dict(request.query_params)
    body = b""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        form = await request.form(max_part_size=MAX_FORM_BYTES)
        values |= {name: value for name, value in form.items() if isinstance(value, str)}
    else:
        body = await request.body()
        encoding = request.headers.get("content-encoding", "identity")
        body = body if encoding == "identity" else _DECOMPRESS[encoding](body)
    settings = {
        name: value
        for name, value in values.items()
        if name not in TRANSPORT_PARAMETERS and not name.startswith("param_")
    }
    if request.method == "GET":
        settings.setdefault("readonly", "2")
    sql = values.get("query", "")
    return Call(
        # A query in the parameter and data in the body are one text with a newline between.
        sql=sql.encode() + b"\n" if sql else body,
        data=body if sql else b"",
        database=values.get("database", "default"),
        default_format=values.get("default_format", "TabSeparated"),
        settings=settings,
        parameters={name[6:]: value for name, value in values.items() if name.startswith("param_")},
    )


def _is_let_in(request: Request, password: str) -> bool:
    kind, _, credentials = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        user, _, shown = base64.b64decode(credentials).decode().partition(":")
    else:
        user = request.headers.get("x-clickhouse-user", request.query_params.get("user", "default"))
        shown = request.headers.get("x-clickhouse-key", request.query_params.get("password", ""))
    return user == "default" and shown == password


def _compressed(request: Request, answer: Answer) -> Response:
    headers = {
        "X-ClickHouse-Format": answer.fmt,
        "X-ClickHouse-Summary": json.dumps({"read_rows": str(answer.rows_read)}),
        "X-ClickHouse-Timezone": request.query_params.get("session_timezone", "UTC"),
    }
    if not answer.body:
        headers.pop("X-ClickHouse-Format")
    wanted = [name.strip() for name in request.headers.get("accept-encoding", "").split(",")]
    encoding = next((name for name in wanted if name in _COMPRESS), None)
    if encoding is None or request.query_params.get("enable_http_compression") != "1":
        return Response(answer.body, headers=headers)
    return Response(_COMPRESS[encoding](answer.body), headers={**headers, "Content-Encoding": encoding})


def _error(message: str) -> Response:
    match = _ERROR_CODE.search(message)
    code = int(match.group(1)) if match else 1002
    text = message if match else f"Code: {code}. DB::Exception: {message} (UNKNOWN_EXCEPTION)"
    status = HTTP_STATUS_OF_CODE.get(code, 500)
    return PlainTextResponse(text + "\n", status, headers={"X-ClickHouse-Exception-Code": str(code)})


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise ValueError(f"Code: 115. DB::Exception: Unknown setting {name!r}. (UNKNOWN_SETTING)")
    return name


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--path", type=Path, required=True)
    parser.add_argument("--password", default="")
    arguments = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0))
    app = make_app(Engine(arguments.path), arguments.password)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))

    def end_with_parent() -> None:
        while sys.stdin.buffer.read(1024):
            pass
        server.should_exit = True

    threading.Thread(target=end_with_parent, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    server.run(sockets=[listener])
    # The engine's threads would be waited for; nothing of this directory is needed any more.
    os._exit(0)


if __name__ == "__main__":
    main()
