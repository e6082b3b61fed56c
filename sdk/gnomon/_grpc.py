"""OTLP over gRPC, as a `Transport`: the same queue, retries and deadlines as over HTTP.

The request is bytes already, so no generated stub is needed. Status codes are told to `gnomon._verdict` as
the HTTP codes that mean the same: https://opentelemetry.io/docs/specs/otlp/#otlpgrpc
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from gnomon._errors import SettingError
from gnomon._transport import MAX_RESPONSE_BYTES, Response

_METHOD: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_HTTP_STATUS: Final = {
    "OK": 200,
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "UNIMPLEMENTED": 404,
    "RESOURCE_EXHAUSTED": 429,
    "OUT_OF_RANGE": 503,
    "ABORTED": 503,
    "DATA_LOSS": 503,
}
_NO_ANSWER: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "UNKNOWN"})
_DETAILS_KEY: Final = "grpc-status-details-bin"
_INSTALL: Final = "protocol='grpc' needs the gRPC parts: pip install 'gnomon[grpc]'"


class GrpcTransport:
    """Posts trace requests over one gRPC channel, which is opened with the first of them."""

    def __init__(self, endpoint: str, certificate_file: str | None) -> None:
        try:
            import grpc  # type: ignore[import-untyped,unused-ignore]
        except ImportError:
            raise SettingError(_INSTALL) from None
        self._grpc: Any = grpc
        self._endpoint = endpoint
        self._certificate_file = certificate_file
        self._channel: Any = None
        self._call: Any = None

    def post(self, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Response:
        """Send one request; raises ConnectionError when nobody answers.

        ``path`` is that of OTLP over HTTP and is not used; compression is left to gRPC.
        """
        metadata = [
            (key.lower(), value)
            for key, value in headers.items()
            if key.lower() not in ("content-type", "user-agent")
        ]
        try:
            answer = self._export(body, timeout_s, metadata)
        except self._grpc.RpcError as error:
            return _failure(error)
        return Response(200, None, None, bytes(answer)[:MAX_RESPONSE_BYTES])

    def abort(self) -> None:
        """Make a request that is under way in another thread fail now."""
        self.close()

    def close(self) -> None:
        """Drop the channel; the next request opens another."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _export(self, body: bytes, timeout_s: float, metadata: list[tuple[str, str]]) -> bytes:
        if self._channel is None:
            self._channel = self._open()
            self._call = self._channel.unary_unary(_METHOD)
        answer: bytes = self._call(body, timeout=timeout_s, metadata=metadata)
        return answer

    def _open(self) -> Any:
        parts = urlsplit(self._endpoint)
        target = f"{parts.hostname}:{parts.port or 4317}"
        if ":" in (parts.hostname or ""):
            target = f"[{parts.hostname}]:{parts.port or 4317}"
        options = [
            ("grpc.primary_user_agent", "gnomon-python"),
            ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
        ]
        if parts.scheme != "https":
            return self._grpc.insecure_channel(
                target, options=options, compression=self._grpc.Compression.Gzip
            )
        pem = Path(self._certificate_file).read_bytes() if self._certificate_file else _system_certificates()
        credentials = self._grpc.ssl_channel_credentials(root_certificates=pem)
        return self._grpc.secure_channel(
            target, credentials, options=options, compression=self._grpc.Compression.Gzip
        )


def _failure(error: Any) -> Response:
    code = error.code().name
    if code in _NO_ANSWER:
        raise ConnectionError(code)
    return Response(_HTTP_STATUS.get(code, 500), _retry_after(error), None, b"")


def _retry_after(error: Any) -> str | None:
    """Seconds to wait, where the server says so by ``google.rpc.RetryInfo``."""
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY:
            for detail in Status.FromString(value).details:
                info = RetryInfo()
                if detail.Unpack(info):
                    return str(info.retry_delay.ToTimedelta().total_seconds())
    return None


def _system_certificates() -> bytes | None:
    path = ssl.get_default_verify_paths().cafile
    return Path(path).read_bytes() if path else None
