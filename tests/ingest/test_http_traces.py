"""``POST /v1/traces`` over a real socket: what is answered, and what is stored then."""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Iterator

import httpx
import psutil
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from tests.ingest.payloads import chat_span, gzipped, hour_ago_ns, request, span
from tests.ingest.server_process import ServerProcess

MAX_BYTES = 16 * 1024**2
MEGABYTE = 1024**2
PROTOBUF = "application/x-protobuf"


def status_of(answer: httpx.Response) -> Status:
    """Return the body of an error, which OTLP wants to be a ``google.rpc.Status``."""
    assert answer.headers["content-type"] == PROTOBUF
    return Status.FromString(answer.content)


def spans_in(server: ServerProcess, project: str) -> int:
    server.wait_until_written()
    return int(server.query(f"SELECT count() AS n FROM spans WHERE project = '{project}'")[0]["n"])


@pytest.mark.parametrize("content_type", [PROTOBUF, PROTOBUF.upper(), f"{PROTOBUF}; charset=utf-8"])
def test_a_good_request_is_answered_with_an_empty_response(server: ServerProcess, content_type: str) -> None:
    key = server.key("good")
    answer = server.post("/v1/traces", request([span(1, hour_ago_ns())]), key, content_type=content_type)

    assert (answer.status_code, answer.headers["content-type"]) == (200, PROTOBUF)
    assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()


def test_identity_and_gzip_and_nothing_at_all(server: ServerProcess) -> None:
    key = server.key("encodings")
    for number, (encoding, encode) in enumerate(
        [("identity", bytes), ("gzip", gzipped), ("GZIP", gzip.compress)]
    ):
        body = encode(request([span(number, hour_ago_ns())]))
        assert server.post("/v1/traces", body, key, content_encoding=encoding).status_code == 200
    assert server.post("/v1/traces", b"", key).status_code == 200
    assert spans_in(server, "encodings") == 3


def test_the_key_also_comes_in_a_header_of_its_own(server: ServerProcess) -> None:
    key = server.key("own-header")
    body = request([span(1, hour_ago_ns())])
    headers = {"content-type": PROTOBUF, "x-gnomon-api-key": key}
    assert server.http.post(f"{server.url}/v1/traces", content=body, headers=headers).status_code == 200
    assert spans_in(server, "own-header") == 1


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_spans_without_valid_ids_are_left_out_and_the_rest_is_stored(
    server: ServerProcess, encoding: str
) -> None:
    project = f"ids-{encoding}"
    start_ns = hour_ago_ns()
    bad_ids: list[dict[str, bytes]] = [
        {"trace_id": b""},
        {"trace_id": b"\x01" * 15},
        {"trace_id": b"\x01" * 17},
        {"trace_id": bytes(16)},
        {"span_id": b""},
        {"span_id": b"\x01" * 7},
        {"span_id": b"\x01" * 9},
        {"span_id": bytes(8)},
        {"parent_span_id": b"\x01" * 7},
    ]
    bad = [span(100 + number, start_ns, **ids) for number, ids in enumerate(bad_ids)]
    good = [span(1, start_ns, {"k": "v"}), span(2, start_ns, parent_span_id=b"\x01" * 8)]
    body = request([good[0], *bad, good[1]])

    answer = server.post(
        "/v1/traces",
        gzipped(body) if encoding else body,
        server.key(project),
        content_encoding=encoding or "identity",
    )

    assert answer.status_code == 200
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert partial.rejected_spans == len(bad)
    assert "16 bytes" in partial.error_message
    assert spans_in(server, project) == 2


def test_a_request_of_nothing_but_bad_spans_stores_nothing(server: ServerProcess) -> None:
    answer = server.post(
        "/v1/traces", request([span(1, hour_ago_ns(), trace_id=b"x")]), server.key("all-bad")
    )
    assert ExportTraceServiceResponse.FromString(answer.content).partial_success.rejected_spans == 1
    assert spans_in(server, "all-bad") == 0


@pytest.mark.parametrize(
    ("body", "encoding", "says"),
    [
        (b"\xff", "", "not a valid ExportTraceServiceRequest"),
        (b"\x0a\x05ab", "", "not a valid ExportTraceServiceRequest"),
        (request([span(1, 1)])[:-3], "", "not a valid ExportTraceServiceRequest"),
        (request([span(1, 1, name="\x7f\x7f")]).replace(b"\x7f\x7f", b"\xff\xfe"), "", "not a valid"),
        (b"not gzip", "gzip", "not valid gzip"),
        (b"", "gzip", "not valid gzip"),
        (gzipped(request([span(1, 1)]))[:-4], "gzip", "not valid gzip"),
        (gzipped(request([span(1, 1)])) + b"more", "gzip", "not valid gzip"),
        (gzipped(request([span(1, 1)])) * 2, "gzip", "not valid gzip"),
        (gzipped(b"\xff"), "gzip", "not a valid ExportTraceServiceRequest"),
        (request([span(1, 1)]), "br", "'br' is not supported"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_not_valid_is_400(server: ServerProcess, body: bytes, encoding: str, says: str) -> None:
    answer = server.post("/v1/traces", body, server.key("invalid"), content_encoding=encoding or "identity")
    assert answer.status_code == 400
    assert says in status_of(answer).message
    assert status_of(answer).code == 3


@pytest.mark.parametrize("key", ["-", "nonsense", "gnm_i_" + "0" * 30, "gnm_i_\xe9"])
def test_no_good_key_is_401(server: ServerProcess, key: str) -> None:
    body = request([span(1, hour_ago_ns())])
    headers = {"content-type": PROTOBUF, "authorization": f"Bearer {key}".encode("latin-1")}
    answer = server.http.post(f"{server.url}/v1/traces", content=body, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert status_of(answer).code == 16
    assert "gnomon keys create" in status_of(answer).message


def test_no_authorization_at_all_is_401(server: ServerProcess) -> None:
    answer = server.http.post(
        f"{server.url}/v1/traces", content=request([span(1, 1)]), headers={"content-type": PROTOBUF}
    )
    assert (answer.status_code, status_of(answer).code) == (401, 16)


@pytest.mark.parametrize("scope", ["feedback", "read"])
def test_a_key_for_something_else_is_403(server: ServerProcess, scope: str) -> None:
    answer = server.post("/v1/traces", request([span(1, 1)]), server.key("scopes", scope))
    assert answer.status_code == 403
    assert (status_of(answer).code, scope in status_of(answer).message) == (7, True)


def test_the_project_comes_from_the_key_alone(server: ServerProcess) -> None:
    sent = span(1, hour_ago_ns(), {"project": "theirs", "gnomon.project": "theirs"})
    body = request([sent], resource={"project": "theirs", "service.name": "theirs"})
    answer = server.post(
        "/v1/traces?project=theirs", body, server.key("mine"), x_gnomon_project="theirs", project="theirs"
    )
    assert answer.status_code == 200
    assert (spans_in(server, "mine"), spans_in(server, "theirs")) == (1, 0)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_media_type_is_415(server: ServerProcess, content_type: str) -> None:
    answer = server.post("/v1/traces", request([span(1, 1)]), server.key("types"), content_type=content_type)
    assert answer.status_code == 415
    assert PROTOBUF in status_of(answer).message


def test_a_body_declared_too_large_is_413(server: ServerProcess) -> None:
    answer = server.post("/v1/traces", bytes(MAX_BYTES + 1), server.key("large"))
    assert answer.status_code == 413
    assert "GNOMON_MAX_REQUEST_BYTES" in status_of(answer).message


def test_a_streamed_body_is_cut_off_when_it_is_too_large(server: ServerProcess) -> None:
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(200):
            sent += MEGABYTE
            yield bytes(MEGABYTE)

    headers = {"content-type": PROTOBUF, "authorization": f"Bearer {server.key('stream')}"}
    try:
        answer = server.http.post(f"{server.url}/v1/traces", content=chunks(), headers=headers)
    except httpx.TransportError:
        pass  # the server may well hang up on someone who keeps on sending
    else:
        assert answer.status_code == 413
    assert server.http.get(f"{server.url}/healthz").status_code == 200


def grown_mb(server: ServerProcess, body: bytes, key: str, **headers: str) -> tuple[int, float]:
    """Post a body; return the answer's status and by how much the server's memory grew at most."""
    process = psutil.Process(server.pid)
    before = peak = process.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    answer = server.post("/v1/traces", body, key, **headers)
    done.set()
    watcher.join()
    return answer.status_code, (peak - before) / MEGABYTE


def gzip_bomb(plain_bytes: int) -> bytes:
    compressor = zlib.compressobj(1, wbits=31)
    pieces = [compressor.compress(bytes(MEGABYTE)) for _ in range(plain_bytes // MEGABYTE)]
    return b"".join([*pieces, compressor.flush()])


def test_a_gzip_bomb_is_413_and_takes_no_memory(server: ServerProcess) -> None:
    key = server.key("bomb")
    server.wait_until_written()
    status, mb = grown_mb(server, gzip_bomb(256 * MEGABYTE), key, content_encoding="gzip")
    assert status == 413
    assert mb < 64


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_megabytes_of_empty_spans_are_413_and_take_no_memory(server: ServerProcess, encoding: str) -> None:
    key = server.key("empty")
    server.wait_until_written()
    empty_spans = b"\x12\x00" * (2 * MEGABYTE)
    scope = b"\x12" + _varint(len(empty_spans)) + empty_spans
    body = b"\x0a" + _varint(len(scope)) + scope
    status, mb = grown_mb(
        server, gzipped(body) if encoding == "gzip" else body, key, content_encoding=encoding
    )
    assert status == 413
    assert mb < 64


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def test_a_client_that_hangs_up_in_mid_body_does_no_harm(server: ServerProcess) -> None:
    key = server.key("hangs-up")

    def chunks() -> Iterator[bytes]:
        yield b"\x0a"
        raise ConnectionAbortedError

    headers = {"content-type": PROTOBUF, "authorization": f"Bearer {key}"}
    with pytest.raises(ConnectionAbortedError):
        server.http.post(f"{server.url}/v1/traces", content=chunks(), headers=headers)
    server.export(request([span(1, hour_ago_ns())]), key)
    assert spans_in(server, "hangs-up") == 1
    assert "Traceback" not in server.log.read_text()


def test_the_same_span_again_is_stored_once(server: ServerProcess) -> None:
    key = server.key("again")
    start_ns = hour_ago_ns()
    once, twice = chat_span(1, start_ns), chat_span(2, start_ns)
    for body in (request([once, twice, twice]), request([once]), gzipped(request([twice, once]))):
        encoding = "gzip" if body[:2] == b"\x1f\x8b" else "identity"
        assert server.post("/v1/traces", body, key, content_encoding=encoding).status_code == 200
        server.wait_until_written()
    assert spans_in(server, "again") == 2
    counted = server.query("SELECT sum(calls) AS calls FROM calls_per_hour FINAL WHERE project = 'again'")
    assert counted == [{"calls": 2}]


def test_other_methods_are_refused(server: ServerProcess) -> None:
    assert server.http.get(f"{server.url}/v1/traces").status_code == 405
    assert server.http.get(f"{server.url}/v1/nowhere").status_code == 404


def test_the_inbox_is_for_its_owner_alone(server: ServerProcess) -> None:
    server.export(request([span(1, hour_ago_ns())]), server.key("private"))
    for path in server.data_dir.glob("inbox.sqlite*"):
        assert path.stat().st_mode & 0o077 == 0, path
