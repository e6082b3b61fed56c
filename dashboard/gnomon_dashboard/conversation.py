"""The conversation of a span as the dashboard shows it; how it is read is `gnomon_schemas.conversation`."""

from gnomon_collector.store.queries.trace import SpanDetail
from gnomon_schemas.conversation import Conversation, parse_conversation


def conversation(span: SpanDetail) -> Conversation:
    """Return the conversation of a span; both sides are empty when the service sent no content."""
    return parse_conversation(
        span.attributes,
        dialect=span.dialect,
        kind=span.kind,
        events=span.events,
        input_text=span.input_text,
        output_text=span.output_text,
    )
