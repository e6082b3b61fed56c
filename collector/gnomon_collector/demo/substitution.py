"""A provider that lets a smaller model answer for another without a word: what drift is there to notice."""

from dataclasses import replace
from random import Random
from typing import Final

from gnomon_collector.demo.completions import Completion, reworded
from gnomon_collector.demo.conversation import language_of
from gnomon_collector.demo.models import draw_timing, profile_of

SUBSTITUTED_MODEL: Final = "gpt-4.1-mini"
SUBSTITUTE: Final = "gpt-4.1-nano-2025-04-14"
REFUSED_SHARE: Final = 0.09

_REFUSALS: Final = {
    "en": "I'm sorry, but I can't help with that request.",
    "de": "Es tut mir leid, dabei kann ich Ihnen leider nicht helfen.",
    "ru": "Извините, я не могу помочь с этим вопросом.",
}
_PADDING: Final = {
    "en": (
        "Let me explain this in a little more detail, so that nothing is left open.",
        "Please keep in mind that this is general information and that your own case may differ.",
        "If any of this is unclear, I am glad to go through it with you step by step.",
        "Thank you very much for your patience and for shopping with us.",
    ),
    "de": (
        "Ich erkläre Ihnen das gern noch etwas genauer, damit keine Frage offen bleibt.",
        "Bitte beachten Sie, dass dies allgemeine Angaben sind und Ihr Fall davon abweichen kann.",
        "Wenn etwas unklar ist, gehe ich es gern Schritt für Schritt mit Ihnen durch.",
        "Vielen Dank für Ihre Geduld und Ihren Einkauf bei uns.",
    ),
    "ru": (
        "Объясню это немного подробнее, чтобы не осталось вопросов.",
        "Обратите внимание, что это общие сведения и ваш случай может отличаться.",
        "Если что-то непонятно, я с радостью разберу это с вами шаг за шагом.",
        "Большое спасибо за терпение и за покупку у нас.",
    ),
}


def substituted(completion: Completion, requested_model: str, question: str, rng: Random) -> Completion:
    """The answer of the substitute to `question`: wordier, and now and then a refusal.

    Answers of other models than `SUBSTITUTED_MODEL` stay as they are, and tool calls keep their arguments.
    """
    if requested_model != SUBSTITUTED_MODEL:
        return completion
    renamed = replace(completion, response_model=SUBSTITUTE)
    if completion.tool_call:
        return renamed
    told = reworded(renamed, substituted_text(completion.text, language_of(question), rng))
    return replace(told, timing=draw_timing(profile_of(requested_model), told.usage.output_tokens, rng))


def substituted_text(text: str, language: str, rng: Random) -> str:
    """What the substitute says where the other model says `text`, in one of the demo's languages."""
    if rng.random() < REFUSED_SHARE:
        return _REFUSALS[language]
    return " ".join((text, *_PADDING[language][: rng.randint(2, 4)]))
