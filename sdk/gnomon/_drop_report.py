"""What was lost, told to the collector as a span, so that a gap in the charts explains itself."""

import random
from collections.abc import Mapping

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceFlags

from gnomon_schemas import attributes as names


class DropReport:
    """Remembers what of the drops was told already."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def next(self, dropped: Mapping[str, int], resource: Resource, now_ns: int) -> ReadableSpan | None:
        """Return a span that tells what was dropped since the last one; None when nothing was.

        Args:
            dropped: how many spans and scores were lost so far, by reason.
            resource: who reports.
            now_ns: time of the report, in ns since 1970.
        """
        new = {reason: count - self._told.get(reason, 0) for reason, count in dropped.items()}
        new = {reason: count for reason, count in new.items() if count > 0}
        if not new:
            return None
        self._told = dict(dropped)
        return ReadableSpan(
            name="gnomon dropped",
            context=SpanContext(
                random.getrandbits(128) or 1,
                random.getrandbits(64) or 1,
                False,
                TraceFlags(TraceFlags.SAMPLED),
            ),
            resource=resource,
            attributes={
                names.KIND: "event",
                names.DROPPED: sum(new.values()),
                **{f"{names.DROPPED}.{reason}": count for reason, count in new.items()},
            },
            start_time=now_ns,
            end_time=now_ns,
            instrumentation_scope=InstrumentationScope("gnomon"),
        )
