"""Reading a customer's question and wording the shop's answer: pure, and the same given the same `Random`."""

import json
import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

from gnomon_collector.demo.phrases import (
    CLOSINGS,
    ITEMS,
    OPENINGS,
    PROMISES,
    SIZES,
    TOOL_ANSWERS,
    TOPICS,
    Topic,
)

LANGUAGE_WEIGHTS: Final = {"en": 0.7, "de": 0.14, "ru": 0.16}
ORDER_NUMBER: Final = re.compile(r"\bA-\d{5}\b")
GENEROUS: Final = "always offer something on top"
"""Words in a prompt that make the stand-in promise what no page says."""
_INVENTING_SHARE: Final = 0.45
_CYRILLIC: Final = re.compile(r"[а-яё]", re.IGNORECASE)
_GERMAN: Final = re.compile(r"[äöüß]|\b(?:ich|der|das|wie|eine|welche)\b", re.IGNORECASE)
_DOCUMENT_MARK: Final = re.compile(r"^\[([\w-]+)\]", re.MULTILINE)


def language_of(text: str) -> str:
    """Two letters, `en` unless the text looks Russian or German."""
    if _CYRILLIC.search(text):
        return "ru"
    return "de" if _GERMAN.search(text) else "en"


def topic_of(text: str) -> Topic:
    """The topic whose words occur most often in `text`, among those of its language."""
    lowered = text.lower()
    topics = [topic for topic in TOPICS if topic.language == language_of(text)]
    return max(topics, key=lambda topic: sum(lowered.count(stem) for stem in topic.stems))


def draw_language(rng: Random) -> str:
    """A language, weighted as the shop's customers speak."""
    return rng.choices(tuple(LANGUAGE_WEIGHTS), weights=tuple(LANGUAGE_WEIGHTS.values()))[0]


def draw_topic(rng: Random) -> Topic:
    """A topic of a randomly drawn language."""
    language = draw_language(rng)
    return rng.choice([topic for topic in TOPICS if topic.language == language])


def draw_question(rng: Random, topic: Topic) -> str:
    """A customer's question about `topic`, its placeholders filled."""
    return rng.choice(topic.questions).format(
        order=order_number(rng), item=rng.choice(ITEMS[topic.language]), size=rng.choice(SIZES)
    )


def order_number(rng: Random) -> str:
    """An order number such as `A-10442`."""
    return f"A-{rng.randint(10000, 99999)}"


def answer_to(question: str, context: str, rng: Random) -> str:
    """The shop's answer to `question`.

    Told to be generous, it makes promises up now and then, as models do. Cites the first document
    marked `[id]` at the start of a line of `context`, as a good RAG answer does; `context` may be empty.
    """
    topic = topic_of(question)
    count = min(len(topic.facts), rng.choices((1, 2, 3, 4), weights=(2, 4, 3, 2))[0])
    cited = _DOCUMENT_MARK.search(context)
    generous = GENEROUS in context and rng.random() < _INVENTING_SHARE
    parts = (
        rng.choice(OPENINGS[topic.language]),
        *topic.facts[:count],
        rng.choice(PROMISES[topic.language]) if generous else "",
        f"[{cited.group(1)}]" if cited else "",
        rng.choice(CLOSINGS[topic.language]),
    )
    return " ".join(part for part in parts if part)


def answer_from_tool(question: str, tool_result: str) -> str:
    """The answer that words an order tool's JSON result in the language of `question`."""
    values = {"order": "?", "state": "unknown", "carrier": "?", "eta": "?"} | _json_object(tool_result)
    return TOOL_ANSWERS[language_of(question)].format_map(values)


def tool_arguments(parameters: Mapping[str, object], question: str, rng: Random) -> dict[str, object]:
    """Arguments for a tool with the JSON schema `parameters`, as far as `question` gives them."""
    properties = parameters.get("properties")
    names = properties if isinstance(properties, Mapping) else {}
    return {str(name): _argument(schema, question, rng) for name, schema in names.items()}


def _argument(schema: object, question: str, rng: Random) -> object:
    fields = schema if isinstance(schema, Mapping) else {}
    choices = fields.get("enum")
    if isinstance(choices, Sequence) and choices:
        return choices[0]
    if fields.get("type") in ("integer", "number"):
        return rng.randint(1, 5)
    if fields.get("type") == "boolean":
        return True
    found = ORDER_NUMBER.search(question)
    return found.group(0) if found else order_number(rng)


def _json_object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
