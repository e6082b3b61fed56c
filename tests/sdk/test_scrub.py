"""Every text that leaves the process goes through the mask, and one that fails withholds the text."""

import types
from typing import Any

import pytest
from tests.sdk.collector_double import CollectorDouble
from tests.sdk.conftest import Start

import gnomon

SECRET = "4111-1111"


@pytest.fixture
def masking(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """`gnomon._masking` with a masker of two lines; the keys it saw are in ``seen``."""
    module = types.ModuleType("gnomon._masking")
    module.seen = []  # type: ignore[attr-defined]

    def mask(text: str, key: str) -> str:
        module.seen.append(key)
        if "explode" in text:
            raise RuntimeError(text)
        return text.replace(SECRET, "[card]")

    module.build_masker = lambda settings: mask  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "gnomon._masking", module)
    return module


def record_secrets() -> None:
    with gnomon.span(f"pay {SECRET}") as span, gnomon.session(session=f"s {SECRET}"):
        span.set_input({"card": SECRET, "deep": [{"again": SECRET}]})
        span.set_attribute("shop.cards", [SECRET, "none"])
        span.record_error(ValueError(f"refused {SECRET}"))
        gnomon.feedback(False, comment=f"my card {SECRET} was refused", author=SECRET)


def test_every_text_is_masked(start: Start, collector: CollectorDouble, masking: types.ModuleType) -> None:
    start(capture_content="redacted")
    record_secrets()
    assert gnomon.flush()
    sent = b"".join(request.body for request in collector.accepted)
    assert SECRET.encode() not in sent
    assert sent.count(b"[card]") >= 7
    assert {"span.name", "status.message", "gnomon.input", "exception.message", "user.id"} <= set(
        masking.seen
    )
    assert collector.scores[0]["session_id"] == "s [card]"


def test_a_mask_argument_alone_masks(
    start: Start, collector: CollectorDouble, masking: types.ModuleType
) -> None:
    start(mask=lambda text: text)
    record_secrets()
    assert gnomon.flush()
    assert SECRET.encode() not in b"".join(request.body for request in collector.accepted)


def test_without_it_nothing_is_masked(
    start: Start, collector: CollectorDouble, masking: types.ModuleType
) -> None:
    start()
    record_secrets()
    assert gnomon.flush()
    assert masking.seen == []
    assert collector.span(f"pay {SECRET}").attributes["shop.cards"] == [SECRET, "none"]


def test_a_failing_mask_withholds_the_text(
    start: Start, collector: CollectorDouble, masking: types.ModuleType, caplog: Any
) -> None:
    start(capture_content="redacted")
    with gnomon.span("work") as span:
        span.set_input(f"explode {SECRET}")
        span.set_output("fine")
    assert gnomon.flush()
    attributes = collector.span("work").attributes
    assert attributes["gnomon.input"] == "[withheld: masking failed]"
    assert attributes["gnomon.output"] == "fine"
    assert SECRET not in caplog.text
    assert gnomon.stats().errors == 1


def test_what_is_cut_to_fit_was_masked_before(
    start: Start, collector: CollectorDouble, masking: types.ModuleType
) -> None:
    start(capture_content="redacted", max_export_bytes=16_384, max_value_chars=10**6, compression="none")
    with gnomon.span("work") as span:
        span.set_input("x" * (16_384 // 4 - 4) + SECRET + "y" * 60_000)
    assert gnomon.flush()
    assert b"4111" not in collector.accepted[0].body
