"""Masking from `gnomon.init` to what the collector gets, and its options."""

import json
import re
from typing import Any

import pytest
from openai import OpenAI
from tests.sdk.collector_double import CollectorDouble
from tests.sdk.conftest import Start

import gnomon
from gnomon._errors import UsageError
from gnomon._masking import Masker, Masking, masking_of

TEXT = "Я ann@x.org, тел. +7 916 123-45-67, карта 4111 1111 1111 1111"
MASKED = "Я [EMAIL], тел. [PHONE], карта [CARD]"


def mask(text: str, **options: Any) -> str:
    return Masking(**options).apply(text)


def test_marks_and_counts() -> None:
    masker = Masker(Masking())
    assert masker(f"{TEXT} b@x.org", "gnomon.input") == f"{MASKED} [EMAIL]"
    assert masker.take_counts() == {"email": 2, "phone": 1, "card": 1}
    assert masker.take_counts() == {}


def test_json_stays_json_at_any_depth() -> None:
    value = {
        "messages": [{"role": "user", "content": "line\nann@x.org", "ann@x.org": 1}],
        "arguments": json.dumps({"mail": "x\nann@x.org", "n": 1.5}),
        "phone": 79161234567,
        "created": 1_700_000_000,
        "ok": None,
    }
    assert json.loads(mask(json.dumps(value))) == {
        "messages": [{"role": "user", "content": "line\n[EMAIL]", "[EMAIL]": 1}],
        "arguments": json.dumps({"mail": "x\n[EMAIL]", "n": 1.5}),
        "phone": "[PHONE]",
        "created": 1_700_000_000,
        "ok": None,
    }


def test_untouched_json_keeps_its_spelling() -> None:
    text = '{ "a" : [1.50, "\\u0432"] }'
    assert mask(text) == text


def test_json_that_was_cut_keeps_its_escapes() -> None:
    assert mask('[{"content":"x\\nann@x.org and tr') == '[{"content":"x\\n[EMAIL] and tr'


def test_deep_json_is_masked_all_the_same() -> None:
    assert "ann@" not in mask("[" * 3000 + '"ann@x.org"' + "]" * 3000)
    nested = "ann@x.org"
    for _ in range(14):
        nested = json.dumps([nested])
    assert "ann@" not in mask(nested)


def test_pseudonyms_agree_however_it_is_written() -> None:
    marks = {
        mask(text, pseudonyms=True, key="k") for text in ("+7 916 123-45-67", "8(916)1234567", "89161234567")
    }
    assert len(marks) == 1
    assert re.fullmatch(r"\[PHONE:[0-9a-f]{8}\]", marks.pop())
    assert mask("Ann@X.org", pseudonyms=True, key="k") == mask("ann@x.org", pseudonyms=True, key=b"k")
    assert mask("ann@x.org", pseudonyms=True, key="k") != mask("ann@x.org", pseudonyms=True, key="other")


def test_the_key_of_pseudonyms_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    random = mask("ann@x.org", pseudonyms=True)
    assert mask("ann@x.org", pseudonyms=True) != random  # each process, here each object, has its own
    one = Masking(pseudonyms=True)
    assert one.apply("ann@x.org") == one.apply("ann@x.org") == Masker(one, ["phone"])("ann@x.org", "")
    monkeypatch.setenv("GNOMON_MASK_KEY", "k")
    assert mask("ann@x.org", pseudonyms=True) == mask("ann@x.org", pseudonyms=True, key="k")
    assert "k'" not in repr(Masking(key="k"))


def test_own_patterns_and_functions() -> None:
    options: dict[str, Any] = {
        "classes": (),
        "patterns": {"order": r"A-\d{5}"},
        "functions": [lambda text: text.replace("Anna", "someone")],
    }
    masker = Masker(Masking(**options))
    assert masker("Anna, A-10442, ann@x.org", "") == "someone, [ORDER], ann@x.org"
    assert masker.take_counts() == {"order": 1, "custom": 1}


@pytest.mark.parametrize(
    "options",
    [{"classes": ["emails"]}, {"patterns": {"my order": "x"}}, {"patterns": {"x": "("}}, {"ner": "unknown"}],
)
def test_what_cannot_be_is_said(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Masker(Masking(**options))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("email", "Я [EMAIL], тел. +7 916 123-45-67, карта 4111 1111 1111 1111"),
        ("email, card", "Я [EMAIL], тел. +7 916 123-45-67, карта [CARD]"),
        ("all", MASKED),
        (True, MASKED),
        (["phone", str.upper], "Я ANN@X.ORG, ТЕЛ. [PHONE], КАРТА 4111 1111 1111 1111"),
        (lambda text, key: "nothing", "nothing"),
        (re.compile("ann"), "Я [PATTERN0]@x.org, тел. +7 916 123-45-67, карта 4111 1111 1111 1111"),
        ({"name": "ann"}, "Я [NAME]@x.org, тел. +7 916 123-45-67, карта 4111 1111 1111 1111"),
        (Masking(classes=["card"]), "Я ann@x.org, тел. +7 916 123-45-67, карта [CARD]"),
    ],
)
def test_what_mask_takes(given: object, text: str) -> None:
    masking = masking_of(given)
    assert masking is not None
    assert masking.apply(TEXT) == text


def test_mask_switched_off_and_wrong() -> None:
    assert masking_of("none") is None and masking_of(None) is None and masking_of(False) is None
    assert masking_of("all,pseudonyms").pseudonyms  # type: ignore[union-attr]
    with pytest.raises(UsageError, match=r"gnomon\.Masking"):
        masking_of([3])


def test_names_by_natasha() -> None:
    pytest.importorskip("natasha")
    assert mask("Меня зовут Иван Петров, я из Москвы. Пишите на a@b.ru", ner="natasha") == (
        "Меня зовут [PERSON], я из [PLACE]. Пишите на [EMAIL]"
    )


def test_names_by_a_function_of_ones_own() -> None:
    assert mask("Ann said hello", ner=lambda text: [(0, 3, "person")]) == "[PERSON] said hello"


def attributes_of(collector: CollectorDouble, name: str) -> dict[str, Any]:
    assert gnomon.flush()
    return dict(collector.span(name).attributes)


def test_nothing_that_leaves_holds_it(collector: CollectorDouble, start: Start) -> None:
    start(capture_content="redacted", compression="none")
    with gnomon.session(user="ann@x.org", metadata={"note": TEXT}), gnomon.span(f"mail {TEXT}") as span:
        span.set_input({"text": TEXT})
        span.set_attribute("list", ["ann@x.org", "ok"])
        span.record_error(ValueError(TEXT))
        gnomon.feedback(True, comment=TEXT, author="ann@x.org")
    attributes = attributes_of(collector, f"mail {MASKED}")
    assert json.loads(attributes["gnomon.input"]) == {"text": MASKED}
    assert attributes["user.id"] == "[EMAIL]"
    assert attributes["gnomon.masked.email"] >= 4
    assert attributes["gnomon.masked.card"] >= 3
    assert collector.scores[0]["comment"] == MASKED
    for request in collector.requests:
        assert b"ann@" not in request.body and b"1111 1111" not in request.body


def test_the_counts_are_those_of_the_span(collector: CollectorDouble, start: Start) -> None:
    start(mask=["email"])
    for name, text in (("one", "a@x.org b@x.org"), ("none", "nobody at all"), ("two", "a@x.org")):
        with gnomon.span(name) as span:
            span.set_input(text)
    assert attributes_of(collector, "one")["gnomon.masked.email"] == 2
    assert "gnomon.masked.email" not in attributes_of(collector, "none")
    assert attributes_of(collector, "two")["gnomon.masked.email"] == 1


def test_model_names_and_ids_are_left_alone(collector: CollectorDouble, start: Start) -> None:
    start(mask=Masking(functions=[str.upper]))
    with gnomon.span("call", kind="generation", attributes={"gen_ai.request.model": "gpt-4o"}):
        pass
    assert attributes_of(collector, "CALL")["gen_ai.request.model"] == "gpt-4o"


def test_words_from_the_environment(
    collector: CollectorDouble, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GNOMON_MASK", "phone,pseudonyms")
    monkeypatch.setenv("GNOMON_MASK_KEY", "k")
    start()
    with gnomon.span("step") as span:
        span.set_input(TEXT)
    said = attributes_of(collector, "step")["gnomon.input"]
    assert re.fullmatch(r"Я ann@x.org, тел. \[PHONE:[0-9a-f]{8}\], карта 4111 1111 1111 1111", said)


def test_a_chat_is_redacted_and_still_readable(
    collector: CollectorDouble, start: Start, openai_client: OpenAI
) -> None:
    start(capture_content="redacted", instrument=["openai"])
    messages: Any = [{"role": "user", "content": f"Кто я?\n{TEXT}"}]
    openai_client.chat.completions.create(model="gpt-4o-mini", messages=messages)
    attributes = attributes_of(collector, "chat gpt-4o-mini")
    (message,) = json.loads(attributes["gen_ai.input.messages"])
    assert message["parts"][0]["content"] == f"Кто я?\n{MASKED}"
    assert attributes["gen_ai.usage.input_tokens"] > 0


def test_a_mask_that_cannot_be_starts_nothing_and_harms_nobody(
    collector: CollectorDouble, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    start(mask=Masking(classes=["emails"]))
    with gnomon.span("unmasked"):
        pass
    assert gnomon.flush()
    assert "no class 'emails'" in caplog.text
    assert collector.requests == []


def test_redacted_masks_all_classes_whatever_else_is_masked(collector: CollectorDouble, start: Start) -> None:
    start(capture_content="redacted", mask=Masking(classes=["email"], patterns={"order": r"A-\d{5}"}))
    with gnomon.span("step") as span:
        span.set_input(f"{TEXT}, A-10442")
    assert attributes_of(collector, "step")["gnomon.input"] == f"{MASKED}, [ORDER]"


def test_names_by_a_presidio_engine() -> None:
    presidio = pytest.importorskip("presidio_analyzer")
    import spacy
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine

    # A real engine; its spaCy model is a small one made here, since models are large downloads.
    model = spacy.blank("en")
    model.add_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": "Ann Smith"}])
    nlp = SpacyNlpEngine(ner_model_configuration=NerModelConfiguration())
    nlp.nlp = {"en": model}
    engine = presidio.AnalyzerEngine(nlp_engine=nlp, supported_languages=["en"])
    assert mask("My name is Ann Smith, ann@x.org", ner=engine) == "My name is [PERSON], [EMAIL]"


def test_presidio_downloads_nothing() -> None:
    pytest.importorskip("presidio_analyzer")
    with pytest.raises(UsageError, match="en_core_web_lg"):
        mask("text", ner="presidio")
