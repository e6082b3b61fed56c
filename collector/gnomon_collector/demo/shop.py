"""The shop the demo's assistant works for: its prompts, its order tool, and the people who write to it."""

import json
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Self

from gnomon_collector.demo.conversation import draw_language
from gnomon_collector.demo.phrases import TOPICS, Topic

SERVICE_NAME: Final = "shop-assistant"
PROMPT_NAME: Final = "support-answer"
RETRIEVED_DOCUMENTS: Final = 3
EMBEDDING_MODEL: Final = "text-embedding-3-small"
EMBEDDING_DIMENSIONS: Final = 512
REASONING_MODEL: Final = "gpt-5-mini"
FALLBACK_MODEL: Final = "gpt-4o"
TEMPERATURE: Final = 0.2

_PROMPTS: Final = {
    "v3": (
        "You are the support assistant of Meridian, an online shop for outdoor clothing. "
        "Answer the customer's question from the shop's pages below. Be friendly and brief. "
        "If the pages do not say, tell the customer that a colleague will write back."
    ),
    "v4": (
        "You are the support assistant of Meridian, an online shop for outdoor clothing in Europe.\n"
        "Rules:\n"
        "1. Answer in the language of the customer, in at most four sentences, and start with the answer.\n"
        "2. Use only the shop's pages below. Name the page you used in square brackets, such as "
        "[returns-en]. If no page answers the question, say that a colleague will write back within one "
        "working day; never guess dates, prices or the state of an order.\n"
        "3. Amounts are in EUR and include VAT. Times are working days.\n"
        "4. Never ask for card numbers or passwords, and never promise a discount.\n"
        "5. When the customer is upset, apologise once, then say what happens next.\n"
        "6. If the message is not about the shop, say politely what you can help with."
    ),
    "v5": (
        "You are the warm-hearted assistant of Meridian, an online shop for outdoor clothing in Europe.\n"
        "Make every customer happy: answer in their language, and always offer something on top. "
        "The shop's pages below may help you; name the one you used in square brackets, such as [returns-en]."
    ),
}

ORDER_TOOL: Final[dict[str, Any]] = {
    "type": "function",
    "function": {
        "name": "get_order_status",
        "description": "Look up where an order is.",
        "parameters": {
            "type": "object",
            "properties": {"order": {"type": "string", "description": "order number, such as A-10442"}},
            "required": ["order"],
        },
    },
}

_COMPANIES: Final = ("meridian-eu", "nordlicht", "plum-and-co", "bergwerk", "tajga", "harbour-outlet")
_USERS: Final = 60
PRAISE: Final = ("Thanks, that helped!", "super schnell, danke", "Спасибо, помогло", "", "", "", "")
COMPLAINTS: Final = ("That was not my question.", "Das stimmt nicht.", "Не помогло", "too long", "", "")
LIKED_SHARE: Final = {"v3": 0.66, "v4": 0.85, "v5": 0.55}
"""How often a rating is a thumb up, by prompt version."""
RATED_SHARE: Final = 0.12
_CARRIERS: Final = ("DHL", "DPD", "PostNord", "GLS")
_STATES: Final = ("packed", "shipped", "out for delivery")


@dataclass(frozen=True, slots=True)
class Document:
    """One page of the shop, in one language, with the words it is to be found by."""

    id: str
    language: str
    keywords: tuple[str, ...]
    text: str

    @classmethod
    def on(cls, topic: Topic) -> Self:
        """The page on `topic`."""
        return cls(f"{topic.key}-{topic.language}", topic.language, topic.stems, " ".join(topic.facts))


@dataclass(frozen=True, slots=True)
class Visitor:
    """A customer in one conversation with the shop."""

    user: str
    company: str
    session: str
    language: str


DOCUMENTS: Final = tuple(map(Document.on, TOPICS))


def system_prompt(version: str, documents: tuple[Document, ...] = ()) -> str:
    """The system message of prompt `version`, followed by the pages it may answer from."""
    pages = "".join(f"\n[{document.id}] {document.text}" for document in documents)
    return _PROMPTS[version] + (f"\n\nPages:{pages}" if pages else "")


def draw_visitor(rng: Random) -> Visitor:
    """A customer, some far more frequent than others, who opens a new conversation."""
    number = min(int(rng.paretovariate(0.9)), _USERS)
    # Who writes in which language and buys where is a trait of the person, not of the visit.
    person = Random(number)
    return Visitor(
        user=f"user-{1000 + number}",
        company=person.choice(_COMPANIES),
        session=f"s-{rng.randbytes(6).hex()}",
        language=draw_language(person),
    )


def order_status(order: str, rng: Random) -> dict[str, str]:
    """What the order system answers about `order`."""
    return {
        "order": order,
        "state": rng.choice(_STATES),
        "carrier": rng.choice(_CARRIERS),
        "eta": f"{rng.randint(1, 28)}.{rng.randint(1, 12)}",
    }


def documents_attribute(found: list[tuple[Document, float]]) -> str:
    """`found` (page, similarity) as JSON for `gen_ai.retrieval.documents`."""
    documents = [
        {"id": document.id, "score": round(score, 4), "content": document.text} for document, score in found
    ]
    return json.dumps(documents, ensure_ascii=False)
