"""A simulated process making spans: a clock of its own, a stack of open spans, calls that may fail."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from gnomon_collector.demo.completions import ChatRequest, Completion, complete
from gnomon_collector.demo.faults import Fault, draw_fault, error_answer
from gnomon_collector.demo.genai_spans import (
    OPENAI_SCOPE,
    broken_stream_attributes,
    call_attributes,
    completion_attributes,
)
from gnomon_collector.demo.models import count_tokens, draw_timing, profile_of
from gnomon_collector.demo.otlp import Scope, SpanDraft, Value
from gnomon_collector.demo.shop import EMBEDDING_DIMENSIONS
from gnomon_collector.demo.substitution import substituted
from gnomon_collector.demo.timeline import Conditions
from gnomon_schemas import attributes as names

GNOMON_SCOPE: Final = Scope("gnomon", "0.1.0")
CLIENT_TIMEOUT_S: Final = 6.0
"""How long the simulated shop assistant waits for an answer before it gives up."""

_MIDSTREAM: Final = (Fault.MIDSTREAM, Fault.CUT)
_ERROR_TYPES: Final = {
    Fault.RATE_LIMIT: "openai.RateLimitError",
    Fault.SERVER_ERROR: "openai.InternalServerError",
    Fault.CONTEXT_LENGTH: "openai.BadRequestError",
    Fault.TIMEOUT: "openai.APITimeoutError",
    Fault.MIDSTREAM: "openai.APIError",
    Fault.CUT: "openai.APIConnectionError",
}
_MESSAGES: Final = {
    Fault.TIMEOUT: "Request timed out.",
    Fault.CUT: "Connection error.",
    Fault.MIDSTREAM: error_answer(Fault.SERVER_ERROR, 0).message,
}


class SimulatedError(Exception):
    """What the simulated client raises when a call fails."""

    def __init__(self, fault: Fault) -> None:
        answer = error_answer(fault, 0)
        super().__init__(_MESSAGES.get(fault, f"Error code: {answer.status} - {answer.message}"))
        self.fault = fault
        self.error_type = _ERROR_TYPES[fault]


class Recorder:
    """Makes the spans of one trace.

    Args:
        rng: decides ids, answers, durations and faults.
        start: when the trace begins; aware.
        conditions: how likely calls fail and how slow they are.
        stamp: attributes that every span gets, as those of a session.
    """

    def __init__(
        self, rng: Random, start: datetime, conditions: Conditions, stamp: Mapping[str, Value]
    ) -> None:
        self.rng = rng
        self.spans: list[SpanDraft] = []
        self.trace_id = rng.randbytes(16)
        self._now_ns = round(start.timestamp() * 1_000_000) * 1000
        self._conditions = conditions
        self._stamp = dict(stamp)
        self._open: list[SpanDraft] = []

    @property
    def now(self) -> datetime:
        """The simulated time, in UTC."""
        return datetime.fromtimestamp(self._now_ns / 1e9, UTC)

    def spend(self, seconds: float) -> None:
        """Let simulated time pass."""
        self._now_ns += round(seconds * 1e9)

    @contextmanager
    def stamped(self, more: Mapping[str, Value]) -> Iterator[None]:
        """Put `more` on every span begun inside."""
        outer, self._stamp = self._stamp, {**self._stamp, **more}
        try:
            yield
        finally:
            self._stamp = outer

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, Value], scope: Scope) -> Iterator[SpanDraft]:
        """A span around the block, failed when a `SimulatedError` leaves it."""
        self.spend(self.rng.uniform(2e-5, 2e-4))
        draft = SpanDraft(
            name=name,
            scope=scope,
            trace_id=self.trace_id,
            span_id=self.rng.randbytes(8),
            parent_id=self._open[-1].span_id if self._open else b"",
            start_ns=self._now_ns,
            is_client=scope is OPENAI_SCOPE,
            attributes={**self._stamp, **attributes},
        )
        self._open.append(draft)
        try:
            yield draft
        except SimulatedError as error:
            draft.error_message = str(error)
            draft.attributes[names.ERROR_TYPE] = error.error_type
            if scope is GNOMON_SCOPE:
                draft.exception_type = error.error_type
            raise
        finally:
            self._open.pop()
            self.spend(self.rng.uniform(2e-5, 2e-4))
            draft.end_ns = self._now_ns
            self.spans.append(draft)

    @contextmanager
    def step(self, name: str, kind: str, given: object = None) -> Iterator[SpanDraft]:
        """A span of Gnomon's own SDK: `gnomon.span(name, kind=…)` or `@gnomon.observe`."""
        attributes: dict[str, Value] = {names.KIND: kind}
        if given is not None:
            attributes[names.INPUT] = given if isinstance(given, str) else _json(given)
        with self.span(name, attributes, GNOMON_SCOPE) as draft:
            yield draft

    def embed(self, model: str, texts: list[str]) -> None:
        """Call `/v1/embeddings`; raises `SimulatedError`."""
        attributes = call_attributes("embeddings", {"model": model, "dimensions": EMBEDDING_DIMENSIONS})
        with self.span(f"embeddings {model}", attributes, OPENAI_SCOPE) as draft:
            total_s = draw_timing(profile_of(model), 0, self.rng).total_s * self._conditions.latency_factor
            self._fail(self._draw_fault(self._conditions.error_rate / 4, total_s, stream=False))
            self.spend(total_s)
            draft.attributes |= {
                names.RESPONSE_MODEL: model,
                names.INPUT_TOKENS: sum(count_tokens(text) for text in texts),
            }

    def chat(self, body: Mapping[str, Any], extra: Mapping[str, Value] | None = None) -> Completion:
        """Call `/v1/chat/completions` with the JSON `body`; raises `SimulatedError`.

        `extra` attributes are what the service itself says about the call, such as its attempt.
        """
        request = ChatRequest.from_body(body)
        attributes = {**call_attributes("chat", body), **(extra or {})}
        with self.span(f"chat {request.model}", attributes, OPENAI_SCOPE) as draft:
            completion = self._complete(request)
            factor = self._conditions.latency_factor
            first_s, total_s = completion.timing.first_token_s * factor, completion.timing.total_s * factor
            fault = self._draw_fault(self._conditions.error_rate, total_s, stream=request.stream)
            if fault in _MIDSTREAM:
                draft.attributes |= broken_stream_attributes(completion, first_s)
            self._fail(fault)
            self.spend(total_s)
            draft.attributes |= completion_attributes(completion, first_s if request.stream else None)
        return completion

    def _complete(self, request: ChatRequest) -> Completion:
        completion = complete(
            request,
            answer_id=self.rng.randbytes(12).hex(),
            created_s=self._now_ns // 10**9,
            rng=self.rng,
        )
        if self._conditions.is_substituted:
            return substituted(completion, request.model, request.question, self.rng)
        return completion

    def _draw_fault(self, error_rate: float, total_s: float, *, stream: bool) -> Fault | None:
        if total_s > CLIENT_TIMEOUT_S:
            return Fault.TIMEOUT
        fault = draw_fault(self.rng, error_rate)
        return Fault.SERVER_ERROR if fault in _MIDSTREAM and not stream else fault

    def _fail(self, fault: Fault | None) -> None:
        if fault is None:
            return
        refused_s = self.rng.uniform(0.03, 0.4) * self._conditions.latency_factor
        self.spend(CLIENT_TIMEOUT_S if fault is Fault.TIMEOUT else refused_s)
        raise SimulatedError(fault)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
