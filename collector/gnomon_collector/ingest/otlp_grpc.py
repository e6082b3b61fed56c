"""OTLP over gRPC: the same intake as over HTTP, on raw bytes.

The handler is generic: gRPC hands over the serialized request as it came, and the intake checks it once.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from gnomon_collector.errors import ConfigError, GnomonError, StoreUnavailable
from gnomon_collector.ingest.authorize import NotAuthorized
from gnomon_collector.ingest.intake import Intake, export_response, retry_after_s
from gnomon_collector.ingest.quotas import QuotaExceeded
from gnomon_collector.ingest.signals import SIGNALS, TRACES, Signal

SERVICE: Final = TRACES.service
_STOP_S: Final = 3.0
_THREADS: Final = 8
# What one caller may have open at a time, and a place in the queue for those beyond the threads.
_MOST_CALLS: Final = 256


class OtlpGrpcServer:
    """The gRPC server of one collector."""

    def __init__(self, intake: Intake, address: str, port: int, flag: str) -> None:
        """Listen, and answer from a pool of threads.

        Raises:
            ConfigError: the port cannot be had.
        """
        self._server = grpc.server(
            ThreadPoolExecutor(_THREADS, thread_name_prefix="gnomon-grpc"),
            handlers=[_handler(intake, signal) for signal in SIGNALS],
            maximum_concurrent_rpcs=_MOST_CALLS,
            options=[
                ("grpc.max_receive_message_length", intake.max_request_bytes),
                ("grpc.so_reuseport", 0),
            ],
        )
        try:
            self.port: int = self._server.add_insecure_port(f"{address}:{port}")
        except RuntimeError:
            raise ConfigError(
                f"Cannot listen on {address}:{port} for OTLP/gRPC. Choose another port with {flag} PORT."
            ) from None
        self._server.start()

    def stop(self) -> None:
        """Stop taking calls and finish those under way."""
        self._server.stop(_STOP_S).wait()


def _handler(intake: Intake, signal: Signal) -> grpc.GenericRpcHandler:
    route = f"grpc/{signal.name}"

    def export(body: bytes, context: grpc.ServicerContext) -> bytes:
        started = time.perf_counter()
        try:
            checked, stored = intake.check(intake.project(_headers(context)), body, "", signal=signal)
            intake.put(checked, stored).result()
        except GnomonError as error:
            intake.answered(route, _code(error).name)
            context.abort_with_status(rpc_status.to_status(_status(error)))
        intake.acknowledged(checked, time.perf_counter() - started, signal)
        intake.answered(route, grpc.StatusCode.OK.name)
        return bytes(export_response(checked, signal).SerializeToString())

    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(export)
    return grpc.method_handlers_generic_handler(signal.service, {"Export": method})


def _headers(context: grpc.ServicerContext) -> dict[str, str]:
    """Return the call's metadata; gRPC has its names in lower case."""
    return {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}


def _status(error: GnomonError) -> Status:
    status = Status(code=_code(error).value[0], message=str(error))
    wait_s = retry_after_s(error)
    if wait_s is not None:
        detail = AnyMessage()
        detail.Pack(RetryInfo(retry_delay=Duration(seconds=wait_s)))
        status.details.append(detail)
    return status


def _code(error: GnomonError) -> grpc.StatusCode:
    if isinstance(error, NotAuthorized):
        denied = error.http_status == 403
        return grpc.StatusCode.PERMISSION_DENIED if denied else grpc.StatusCode.UNAUTHENTICATED
    if isinstance(error, StoreUnavailable):
        return grpc.StatusCode.UNAVAILABLE
    if isinstance(error, QuotaExceeded):
        return grpc.StatusCode.RESOURCE_EXHAUSTED
    # A request too large is no RESOURCE_EXHAUSTED: clients read that as "try the same again later".
    return grpc.StatusCode.INVALID_ARGUMENT
