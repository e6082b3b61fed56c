"""The judge's own calls as spans in a project of their own, with tokens and so with cost.

They hold no text of what was judged: another project's people read there. What was judged is named by its
ids.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from gnomon_collector.quality.costs import PROVIDER
from gnomon_collector.store import ingest, rollups
from gnomon_collector.store.engine import Store
from gnomon_schemas import attributes as names
from gnomon_schemas.otlp import encode_envelope
from gnomon_schemas.prices import Price

SCOPE = "gnomon.quality"
_MINUTE_NS = 60 * 10**9


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call to a model, to be kept as a span.

    Attributes:
        key: decides the span's id, so that a call is recorded once
        trace_key: decides its trace's
        error: its class when it failed, "" otherwise
        more: further attributes
    """

    key: str
    trace_key: str
    model: str
    started_ns: int
    ended_ns: int
    prompt_name: str
    prompt_version: str
    response_model: str = ""
    response_id: str = ""
    finish_reason: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    error: str = ""
    more: Mapping[str, str] = field(default_factory=dict)


class CallRecorder:
    """Writes calls into one project. Not for several threads at a time.

    Args:
        project: the spans' project.
        service: their service name.
        periods: asked for the price periods of a provider's model.
    """

    def __init__(
        self, store: Store, project: str, service: str, periods: Callable[[str, str], list[Price]]
    ) -> None:
        self._store = store
        self._periods = periods
        self._project = project
        self._service = service
        self._priced: set[tuple[str, str]] | None = None

    def record(self, calls: Sequence[CallRecord]) -> None:
        """Insert spans, price them and bring the rollups up to date; doing so twice adds nothing.

        Raises:
            StoreError: the database does not take them now
        """
        if not calls:
            return
        received_ns, batch_id = time.time_ns(), uuid.uuid4().hex
        request = _request(self._service, calls).SerializeToString()
        minutes = {datetime.fromtimestamp(c.started_ns // _MINUTE_NS * 60, UTC) for c in calls}
        batch = ingest.Batch(batch_id, [self._project], minutes, len(calls), received_ns, received_ns)
        ingest.insert_batch(self._store, encode_envelope(self._project, received_ns, batch_id, request))
        self._price(batch)
        rollups.recompute(self._store, [self._project], sorted(minutes))

    def _price(self, batch: ingest.Batch) -> None:
        if self._priced is None:
            self._priced = ingest.priced_models(self._store)
        unpriced = ingest.report_batch(self._store, batch).unpriced
        new = {pair: self._periods(*pair) for pair in sorted(unpriced - self._priced)}
        for (provider, model), periods in new.items():
            ingest.price_batch(self._store, batch, provider, model, periods)
        ingest.save_prices(self._store, new)
        self._priced.update(new)


def span_ids(call: CallRecord) -> tuple[str, str]:
    """Return trace id and span id of a call, in hex."""
    return _digest(call.trace_key, 16).hex(), _digest(call.key, 8).hex()


def _request(service: str, calls: Sequence[CallRecord]) -> ExportTraceServiceRequest:
    spans = ScopeSpans(spans=[_span(call) for call in calls])
    spans.scope.name = SCOPE
    resource = Resource(attributes=[_attribute(names.SERVICE_NAME, service)])
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=resource, scope_spans=[spans])])


def _span(call: CallRecord) -> Span:
    attributes: dict[str, str | int] = {
        names.OPERATION_NAME: "chat",
        names.PROVIDER_NAME: PROVIDER,
        names.REQUEST_MODEL: call.model,
        names.RESPONSE_MODEL: call.response_model,
        names.RESPONSE_ID: call.response_id,
        names.FINISH_REASONS: json.dumps([call.finish_reason]) if call.finish_reason else "",
        names.PROMPT_NAME: call.prompt_name,
        names.PROMPT_VERSION: call.prompt_version,
        names.ERROR_TYPE: call.error,
        **({names.INPUT_TOKENS: call.input_tokens} if call.input_tokens else {}),
        **({names.OUTPUT_TOKENS: call.output_tokens} if call.output_tokens else {}),
        **({names.CACHE_READ_TOKENS: call.cache_read_tokens} if call.cache_read_tokens else {}),
        **call.more,
    }
    return Span(
        trace_id=_digest(call.trace_key, 16),
        span_id=_digest(call.key, 8),
        name=f"chat {call.model}",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=call.started_ns,
        end_time_unix_nano=call.ended_ns,
        attributes=[_attribute(name, value) for name, value in attributes.items() if value != ""],
        status=Status(code=Status.STATUS_CODE_ERROR if call.error else Status.STATUS_CODE_UNSET),
    )


def _attribute(name: str, value: str | int) -> KeyValue:
    if isinstance(value, int):
        return KeyValue(key=name, value=AnyValue(int_value=value))
    return KeyValue(key=name, value=AnyValue(string_value=value))


def _digest(key: str, size: int) -> bytes:
    return hashlib.sha256(key.encode()).digest()[:size]
