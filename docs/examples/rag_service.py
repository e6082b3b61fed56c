"""A shop that answers questions by retrieval, with all that Gnomon shows of such a service.

    pip install 'gnomon[openai,checks]' fastapi uvicorn tenacity
    export GNOMON_ENDPOINT=http://127.0.0.1:4318 GNOMON_API_KEY=gnm_i_... OPENAI_API_KEY=...
    uvicorn rag_service:app

    curl -X POST http://127.0.0.1:8000/ask -H 'Content-Type: application/json' \
      -d '{"user": "u-1", "company": "acme", "session": "s-1", "question": "How long does delivery take?"}'
"""

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from openai import OpenAI
from pydantic import BaseModel
from tenacity import retry, stop_after_attempt, wait_random_exponential

import gnomon
from gnomon import checks

BIG, SMALL = os.environ.get("RAG_MODEL", "gpt-4.1"), os.environ.get("RAG_SMALL_MODEL", "gpt-4.1-mini")
EMBEDDINGS = "text-embedding-3-small"
SIMILAR_ENOUGH = 0.92
TEMPLATE = "Answer from these documents only:\n{documents}\n\nQuestion: {question}"
SORRY = "Sorry, I cannot answer right now. Please try again in a minute."
DOCUMENTS = {
    "delivery": "Delivery takes three working days and is free above 50 euros.",
    "returns": "Shoes can be returned within 30 days, unworn, with the receipt.",
    "payment": "We take bank cards, and invoices for companies.",
}
INTENT = {
    "type": "object",
    "required": ["intent"],
    "properties": {"intent": {"enum": ["delivery", "returns", "payment", "other"]}},
}

# Personal data is masked in this process; the same customer keeps the same mark.
gnomon.init(
    service_name="shop-rag",
    release="1.0.0",
    capture_content="redacted",
    mask=gnomon.Masking(
        pseudonyms=True, key=os.environ.get("RAG_MASK_KEY"), patterns={"order": r"\bA-\d{5}\b"}
    ),
)
client = OpenAI(max_retries=2)
app = FastAPI()


class Question(BaseModel):
    """What a customer asks."""

    user: str
    company: str
    session: str
    question: str


@gnomon.retrying
@retry(stop=stop_after_attempt(3), wait=wait_random_exponential(max=2), reraise=True)
def embed(texts: list[str]) -> list[list[float]]:
    """Embeddings, with a policy of our own on top of the client's retries."""
    return [item.embedding for item in client.embeddings.create(model=EMBEDDINGS, input=texts).data]


def similarity(one: list[float], other: list[float]) -> float:
    """Cosine similarity."""
    norm = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / norm if norm else 0.0


@dataclass
class Index:
    """Documents by their embedding."""

    vectors: dict[str, list[float]] = field(default_factory=dict)

    def find(self, question: str, vector: list[float]) -> list[str]:
        """Return the ids of the two nearest documents."""
        with gnomon.retrieval(question, name="find documents", top_k=2, source="shop-help") as found:
            if not self.vectors:
                self.vectors = dict(zip(DOCUMENTS, embed(list(DOCUMENTS.values())), strict=True))
            scored = sorted(
                ((similarity(v, vector), name) for name, v in self.vectors.items()), reverse=True
            )[:2]
            found.set_documents([{"id": n, "content": DOCUMENTS[n], "score": s} for s, n in scored])
        return [name for _, name in scored]


@dataclass
class SemanticCache:
    """Answers by the embedding of their question."""

    answers: list[tuple[list[float], str]] = field(default_factory=list)

    def nearest(self, vector: list[float]) -> tuple[float, str] | None:
        """Return similarity and answer of the nearest question."""
        return max(((similarity(v, vector), answer) for v, answer in self.answers), default=None)


index, cached = Index(), SemanticCache()
# A tenth of the cache's hits is compared with what the model answers now.
lookups = gnomon.cache(
    "answers",
    shadow=gnomon.Shadow(
        rate=float(os.environ.get("RAG_SHADOW_RATE", "0.1")),
        call=lambda question: complete(SMALL, question, list(DOCUMENTS)),
        same=lambda one, other: similarity(*embed([one, other])) > 0.9,
    ),
)


def complete(model: str, question: str, documents: list[str]) -> str:
    """Ask one model."""
    values = {"documents": "\n".join(DOCUMENTS[name] for name in documents), "question": question}
    with gnomon.prompt("rag-answer", version=2, template=TEMPLATE, variables=values):
        reply = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": TEMPLATE.format(**values)}]
        )
    return reply.choices[0].message.content or ""


def complete_big(question: str, documents: list[str]) -> str:
    """The model we would like to answer."""
    return complete(BIG, question, documents)


def complete_small(question: str, documents: list[str]) -> str:
    """The one that answers when the other does not."""
    return complete(SMALL, question, documents)


answer_somehow = gnomon.fallback(
    complete_big,
    complete_small,
    canned=SORRY,
    name="answer",
    checks=[checks.not_empty(), checks.forbidden(["as an AI language model"])],
)


@gnomon.guard(checks.json(schema=INTENT, name="intent_schema"), attempts=2, fallback='{"intent": "other"}')
def intent_of(question: str) -> str:
    """What the question is about, as JSON that fits a schema, whatever the model says."""
    prompt = f'Reply with JSON such as {{"intent": "delivery"}}. Question: {question}'
    reply = client.chat.completions.create(model=SMALL, messages=[{"role": "user", "content": prompt}])
    return reply.choices[0].message.content or ""


def answer_to(question: str) -> str:
    """From the cache, or by a model with documents."""
    (vector,) = embed([question])
    with lookups.lookup(question) as lookup:
        near = cached.nearest(vector)
        if near is not None and near[0] >= SIMILAR_ENOUGH:
            lookup.hit(near[1], similarity=near[0])
            return near[1]
    answer = str(answer_somehow(question, index.find(question, vector)))
    gnomon.check(answer, checks.language("en"), checks.max_length(2_000))
    if answer != SORRY:
        cached.answers.append((vector, answer))
        lookups.put(question, answer)
    return answer


@app.post("/ask")
def ask(asked: Question) -> dict[str, str | None]:
    """Answer at once."""
    allowance = gnomon.allow(user=asked.user, company=asked.company)
    if not allowance:
        raise HTTPException(429, allowance.reason)
    with (
        gnomon.session(user=asked.user, company=asked.company, session=asked.session),
        gnomon.span("POST /ask", kind="workflow") as span,
    ):
        span.set_input(asked.question)
        intent = json.loads(intent_of(asked.question))["intent"]
        answer = answer_to(asked.question)
        span.set_output(answer)
    return {"answer": answer, "intent": intent, "trace_id": span.trace_id}


@app.post("/ask/stream")
def ask_stream(asked: Question) -> StreamingResponse:
    """Answer piece by piece."""
    return StreamingResponse(pieces(asked), media_type="text/plain")


@gnomon.observe(name="POST /ask/stream", kind="workflow")
def pieces(asked: Question) -> Iterator[str]:
    """The answer as it comes; it ends where a check fails."""
    stream = client.chat.completions.create(
        model=SMALL,
        messages=[{"role": "user", "content": asked.question}],
        stream=True,
        stream_options={"include_usage": True},
    )
    try:
        for chunk in gnomon.check_stream(
            stream, checks.max_length(4_000), checks.not_empty(), on_fail="raise"
        ):
            yield chunk.choices[0].delta.content or "" if chunk.choices else ""
    except gnomon.CheckFailedError:
        yield " [...]"


class Judgement(BaseModel):
    """What the customer thinks of it."""

    trace_id: str
    good: bool
    comment: str | None = None
    correction: str | None = None


@app.post("/judge")
def judge(said: Judgement) -> dict[str, str]:
    """A thumb, sent again when it changes."""
    score_id = gnomon.feedback(
        said.good,
        trace_id=said.trace_id,
        comment=said.comment,
        correction=said.correction,
        score_id=f"{said.trace_id}-thumb",
    )
    return {"score_id": score_id}
