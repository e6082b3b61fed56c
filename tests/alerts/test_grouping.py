"""Which messages are due: grouping, waiting, repeats, silences, mute times, inhibition."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gnomon_collector.alerts.config import AlertConfig, Mute
from gnomon_collector.alerts.grouping import (
    Message,
    Quiet,
    due_messages,
    is_muted,
    kept_back,
    matches,
    retry_at,
)
from gnomon_collector.alerts.message import title
from gnomon_collector.alerts.target_guard import TargetRefused, check_webhook, is_public
from gnomon_collector.store.alerts import Delivery, Incident, Silence

NOW = datetime(2026, 3, 4, 14, 0, tzinfo=UTC)


def config(**notify: object) -> AlertConfig:
    return AlertConfig.model_validate({"channel": [{"name": "ops", "url": "json://x"}], "notify": notify})


def incident(name: str, ago_s: float = 60, **changed: object) -> Incident:
    values = {
        "incident_id": name, "project": "shop", "rule": "Failure spike", "metric": "error_rate", "fingerprint": name,
        "labels": {"service_name": name}, "severity": "critical", "fired_at": NOW - timedelta(seconds=ago_s),
    }  # fmt: skip
    return Incident(**(values | changed))  # type: ignore[arg-type]


def due(
    incidents: list[Incident],
    sent: list[Delivery],
    now: datetime = NOW,
    quiet: Quiet | None = None,
    **notify: object,
) -> list[Message]:
    said = config(**notify)
    return due_messages(incidents, sent, said.channels, said.notify, quiet or Quiet(), now)


def delivered(message: Message, at: datetime) -> Delivery:
    return Delivery(
        message.delivery_id,
        "shop",
        "ops",
        message.group_key,
        message.kind,
        message.told,
        "sent",
        1,
        "",
        at,
        at,
        at,
    )


def test_what_belongs_together_is_one_message() -> None:
    (message,) = due([incident("a"), incident("b", 40)], [])
    assert message.told == ("firing:a", "firing:b")
    assert len(due([incident("a"), incident("b")], [], group_by=["service_name"])) == 2


def test_the_subject_is_of_the_worst_that_fires() -> None:
    both = [incident("a", severity="warning"), incident("b", 40, rule="Outage")]
    (message,) = due(both, [], group_by=["project"])
    assert title(message).startswith("[CRITICAL] shop: Outage") and title(message).endswith("and 1 more")


def test_it_waits_for_what_belongs_with_it() -> None:
    assert due([incident("a", 10)], []) == []


def test_the_same_message_has_the_same_id() -> None:
    first, second = due([incident("a")], []), due([incident("a")], [], NOW + timedelta(seconds=5))
    assert first[0].delivery_id == second[0].delivery_id


def test_told_once_then_repeated_then_over() -> None:
    one = incident("a")
    (first,) = due([one], [])
    log = [delivered(first, NOW)]
    assert due([one], log, NOW + timedelta(hours=3)) == []
    (repeat,) = due([one], log, NOW + timedelta(hours=4))
    assert repeat.kind == "repeat" and repeat.delivery_id != first.delivery_id
    log.append(delivered(repeat, NOW + timedelta(hours=4)))
    ended = replace(one, resolved_at=NOW + timedelta(hours=5))
    (over,) = due([ended], log, NOW + timedelta(hours=5, minutes=1))
    assert (over.kind, over.told) == ("resolved", ("resolved:a",))
    log.append(delivered(over, NOW + timedelta(hours=5, minutes=1)))
    assert due([ended], log, NOW + timedelta(hours=6)) == []


def test_who_looks_after_it_is_left_alone() -> None:
    taken = incident("a", acknowledged_by="anna")
    (first,) = due([taken], [])
    assert due([taken], [delivered(first, NOW)], NOW + timedelta(days=1)) == []


def test_what_was_over_before_it_was_told_is_not_told() -> None:
    assert due([incident("a", resolved_at=NOW)], []) == []


def test_a_message_that_failed_is_not_planned_again() -> None:
    (first,) = due([incident("a")], [])
    failed = replace(delivered(first, NOW), status="failed", sent_at=None)
    assert due([incident("a")], [failed], NOW + timedelta(hours=1)) == []


@pytest.mark.parametrize(
    ("matcher", "fits"),
    [
        ("service_name=a", True), ("service_name!=a", False), ("service_name=~a|b", True), ("service_name=~A", False),
        ('rule="Failure spike"', True), ("team=search", False), ("team!=search", True), ("severity!~warn.*", True),
    ],
)  # fmt: skip
def test_silences_match_as_in_alertmanager(matcher: str, fits: bool) -> None:
    silence = Silence("s", "shop", (matcher,), NOW - timedelta(hours=1), NOW + timedelta(hours=1), "anna")
    reason = kept_back(incident("a"), [], Quiet([silence]), NOW)
    assert bool(reason) is fits
    assert due([incident("a")], [], quiet=Quiet([silence])) == [] if fits else True


def test_a_silence_is_of_its_project_and_time() -> None:
    on = Silence("s", "shop", ("severity=critical",), NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    for silence in (
        replace(on, project="other"),
        replace(on, ends_at=NOW),
        replace(on, starts_at=NOW + timedelta(1)),
    ):
        assert kept_back(incident("a"), [], Quiet([silence]), NOW) == ""


def test_an_outage_keeps_its_consequences_quiet_where_labels_overlap() -> None:
    outage = incident("o", rule="Provider outage", labels={"provider": "openai"})
    quiet = Quiet(inhibits={("shop", "Provider outage"): ("Failure spike",)})
    assert kept_back(incident("a"), [outage], quiet, NOW) == "inhibited by Provider outage"
    assert kept_back(incident("a", labels={"provider": "anthropic"}), [outage], quiet, NOW) == ""
    assert kept_back(incident("a", project="other"), [outage], quiet, NOW) == ""
    assert kept_back(outage, [incident("a"), outage], quiet, NOW) == ""


@pytest.mark.parametrize(
    ("hour", "day", "muted"),
    [(23, 2, True), (3, 3, True), (12, 3, False), (23, 7, False), (3, 7, True), (3, 8, False)],
)
def test_mute_times_cross_midnight(hour: int, day: int, muted: bool) -> None:
    nights = Mute.model_validate(
        {"name": "n", "days": ["mon", "tue", "wed", "thu", "fri"], "start": "22:00", "end": "07:00", "zone": "Europe/Berlin"}
    )  # fmt: skip
    assert is_muted(nights, datetime(2026, 3, day, hour, tzinfo=UTC)) is muted


def test_labels_that_are_not_there_are_empty() -> None:
    assert matches(["team="], {}) and not matches(["team=~.+"], {})


def test_retries_come_ever_more_slowly_and_end() -> None:
    waits = [(retry_at(attempts, NOW) or NOW) - NOW for attempts in range(1, 100)]
    assert [wait.total_seconds() for wait in waits[:4]] == [10, 20, 40, 80]
    assert max(waits) == timedelta(minutes=15) and sum(waits, timedelta()) > timedelta(hours=23)
    assert retry_at(100, NOW) is None


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1", "::",
        "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "224.0.0.1", "ff02::1",
        "255.255.255.255", "localhost", "not an address", "2001:db8::1",
    ],
)  # fmt: skip
def test_private_addresses_in_every_spelling(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::101:101"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    ["webhook+http://example.com/x", "webhook+file:///etc/passwd", "webhook+https://", "webhook+gopher://x"],
)
def test_webhooks_are_https(url: str) -> None:
    with pytest.raises(TargetRefused):
        check_webhook(url, allow_http=False)
