"""Messages through real senders to a real webhook and a real SMTP server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.alerts.receivers import smtp_server, webhook

from gnomon_collector.alerts.config import AlertConfig
from gnomon_collector.alerts.delivery import Limits, Outbox
from gnomon_collector.alerts.notifier import Notifier
from gnomon_collector.alerts.sender import Result, write_outcome
from gnomon_collector.store.alerts import AlertRecords, Delivery, Incident
from gnomon_collector.store.engine import Store

NOW = datetime(2026, 3, 4, 14, 0, tzinfo=UTC)
LOCAL = Limits(allow_private=True, allow_http=True)
EVIDENCE = {
    "series": {
        "times": [(NOW - timedelta(minutes=9 - one)).isoformat() for one in range(10)],
        "values": [0.01, 0.01, None, 0.02, 0.01, 0.3, 0.5, 0.6, 0.6, 0.61],
    },
    "examples": [
        {"trace_id": f"{one:032x}", "span_id": f"{one:016x}", "model": "gpt-4o", "duration_ms": 950.0,
         "error_type": "<b>timeout</b>", "cost_usd": None} for one in range(1, 4)
    ],
    "causes": [{"dimension": "model", "value": "gpt-4o", "power": 0.94, "surprise": 0.2, "now": 9, "expected": 1, "calls_now": 10}],
    "changes": ["release 2.0 first seen at 13:50 UTC (12 calls)"],
}  # fmt: skip
INCIDENT = Incident(
    incident_id="abcdef0123456789",
    project="shop",
    rule="Failure spike",
    metric="error_rate",
    fingerprint="f",
    labels={"service_name": "assistant"},
    severity="critical",
    fired_at=NOW - timedelta(minutes=5),
    value=0.61,
    normal=0.01,
    threshold=0.06,
    peak=0.61,
    summary="Many more calls fail than is normal.",
    runbook="https://runbooks.example.com/failures",
    evidence=json.dumps(EVIDENCE),
)


def config(*channels: tuple[str, str], **notify: float) -> AlertConfig:
    said = {"channel": [{"name": name, "url": url} for name, url in channels], "notify": notify}
    return AlertConfig.model_validate(said)


def notifier(store: Store, folder: Path, limits: Limits = LOCAL) -> Notifier:
    records = AlertRecords(store)
    return Notifier(records, Outbox(records, folder / "outbox", "http://gnomon.test", limits))


def log(store: Store) -> list[Delivery]:
    return AlertRecords(store).deliveries("shop", since=NOW - timedelta(days=1))


def test_one_message_says_everything_and_its_end_follows(store: Store, tmp_path: Path) -> None:
    AlertRecords(store).save_incidents([INCIDENT])
    with webhook() as hook, smtp_server() as box:
        said = config(("ops", hook.url), ("mail", box.url))
        for second in (0, 20, 40):  # a new process each time
            notifier(store, tmp_path).run(said, [], ["shop"], NOW + timedelta(seconds=second))
        ended = Incident(**{**vars(INCIDENT), "resolved_at": NOW + timedelta(minutes=6)})
        AlertRecords(store).save_incidents([ended])
        for minutes in (1, 7, 8, 9):
            notifier(store, tmp_path).run(said, [], ["shop"], NOW + timedelta(minutes=minutes))
    assert [body["status"] for body in hook.bodies] == ["firing", "resolved"]
    (alert,) = hook.bodies[0]["alerts"]
    assert alert["labels"]["service_name"] == "assistant" and alert["labels"]["alertname"] == "Failure spike"
    assert alert["annotations"]["summary"] == "Failure spike (assistant): Error rate 61.0 %, 1.0 % is normal"
    assert alert["annotations"]["trace_1"].startswith(
        "http://gnomon.test/trace/" + "0" * 31 + "1?project=shop"
    )
    assert hook.bodies[0]["version"] == "4" and hook.bodies[0]["commonLabels"]["severity"] == "critical"

    assert [mail["subject"].split("]")[0] for mail in box.mails] == ["[CRITICAL", "[RESOLVED"]
    parts = [part for part in box.mails[0].walk() if not part.is_multipart()]
    said_in_mail = "".join(part.get_content() for part in parts if part.get_content_maintype() == "text")
    for fact in (
        "61.0 %",
        "94 % of it is explained by model gpt-4o",
        "release 2.0",
        "http://gnomon.test/trace/",
    ):
        assert fact in said_in_mail
    (as_html,) = [part.get_content() for part in parts if part.get_content_type() == "text/html"]
    assert "&lt;b&gt;timeout" in as_html and "<b>timeout" not in as_html
    assert any(part.get_content_type() == "image/png" for part in parts)
    assert {one.status for one in log(store)} == {"sent"}


def test_a_refused_message_is_tried_again_and_then_not_once_more(store: Store, tmp_path: Path) -> None:
    AlertRecords(store).save_incidents([INCIDENT])
    with webhook() as hook:
        hook.statuses = [503, 500]
        for second in range(0, 60, 10):
            notifier(store, tmp_path).run(
                config(("ops", hook.url)), [], ["shop"], NOW + timedelta(seconds=second)
            )
        assert len(hook.bodies) == 1
    (delivery,) = log(store)
    assert (delivery.status, delivery.attempts) == ("sent", 3)


def test_what_failed_is_visible_without_the_secret(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    AlertRecords(store).save_incidents([INCIDENT])
    with webhook() as hook:
        hook.statuses = [403]
        notifier(store, tmp_path).run(config(("ops", hook.url)), [], ["shop"], NOW)
    (delivery,) = log(store)
    assert delivery.error == "the webhook answered with HTTP 403"
    kept = "".join(path.read_text() for path in (tmp_path / "outbox").iterdir())
    assert "s3cret" not in caplog.text + kept + repr(delivery) + repr(config(("ops", hook.url)))


@pytest.mark.parametrize(
    ("left", "sent_again"),
    [(Result("sent"), False), (Result("failed", "HTTP 500"), True), (None, True)],
)
def test_a_crash_while_sending_is_settled(
    store: Store, tmp_path: Path, left: Result | None, sent_again: bool
) -> None:
    """The process died after the message was written down: its sender's outcome says what happened."""
    AlertRecords(store).save_incidents([INCIDENT])
    with webhook() as hook:
        said = config(("ops", hook.url))
        hook.statuses = [500]
        notifier(store, tmp_path).run(said, [], ["shop"], NOW)
        (attempt,) = log(store)
        AlertRecords(store).save_deliveries([Delivery(**{**vars(attempt), "status": "sending"})])
        outcome = tmp_path / "outbox" / f"{attempt.delivery_id}.json"
        outcome.unlink() if left is None else write_outcome(outcome, left)
        for second in (1, 2):
            notifier(store, tmp_path).run(said, [], ["shop"], NOW + timedelta(seconds=second))
        assert len(hook.bodies) == int(sent_again)
    assert [one.status for one in log(store)] == ["sent"]


def test_a_sender_goes_on_when_its_server_is_killed(tmp_path: Path) -> None:
    """A message that is on its way arrives once, and says so, whatever happens to who sent it off."""
    script = f"""
import os, threading, time
from datetime import datetime
from pathlib import Path
from tests.alerts.test_delivery import INCIDENT, LOCAL, NOW, config
from gnomon_collector.alerts.delivery import Outbox
from gnomon_collector.alerts.grouping import Message
class Nowhere:
    def save_deliveries(self, rows): pass
url = os.environ["HOOK"]
channel = config(("ops", url)).channels[0]
message = Message("d1", channel, "g", {{}}, "firing", (INCIDENT,), ())
Outbox(Nowhere(), Path({str(tmp_path)!r}), "http://gnomon.test", LOCAL).send([message], NOW)
"""
    with webhook() as hook:
        server = subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, "HOOK": hook.url, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        hook.before_answer = lambda body: server.kill()
        server.wait(60)
        deadline = datetime.now(UTC) + timedelta(seconds=20)
        while not _is_sent(tmp_path / "d1.json") and datetime.now(UTC) < deadline:
            pass
        assert _is_sent(tmp_path / "d1.json") and hook.ids == ["d1"]


def _is_sent(path: Path) -> bool:
    return path.exists() and json.loads(path.read_text())["outcome"] == "sent"


@pytest.mark.parametrize("channel", ["webhook", "mail"])
def test_private_addresses_are_refused(store: Store, tmp_path: Path, channel: str) -> None:
    AlertRecords(store).save_incidents([INCIDENT])
    with webhook() as hook, smtp_server() as box:
        url = hook.url if channel == "webhook" else box.url
        notifier(store, tmp_path, Limits(allow_http=True)).run(config(("x", url)), [], ["shop"], NOW)
        assert (hook.bodies, box.mails) == ([], [])
    (delivery,) = log(store)
    assert delivery.status == "failed"
    if channel == "webhook":
        assert "GNOMON_ALERT_ALLOW_PRIVATE" in delivery.error


@pytest.mark.parametrize("channel", ["webhook", "mail"])
def test_plain_connections_are_refused(store: Store, tmp_path: Path, channel: str) -> None:
    AlertRecords(store).save_incidents([INCIDENT])
    with webhook() as hook, smtp_server() as box:
        url = hook.url if channel == "webhook" else box.url
        notifier(store, tmp_path, Limits(allow_private=True)).run(config(("x", url)), [], ["shop"], NOW)
        assert (hook.bodies, box.mails) == ([], [])
    assert "GNOMON_ALERT_ALLOW_HTTP" in log(store)[0].error


def test_a_redirect_is_not_followed(store: Store, tmp_path: Path) -> None:
    AlertRecords(store).save_incidents([INCIDENT])
    with webhook() as hook:
        hook.statuses = [307]
        notifier(store, tmp_path).run(config(("ops", hook.url)), [], ["shop"], NOW)
    assert log(store)[0].error.endswith("redirects are not followed")


def test_a_channel_that_is_no_channel(store: Store, tmp_path: Path) -> None:
    AlertRecords(store).save_incidents([INCIDENT])
    notifier(store, tmp_path).run(config(("x", "nonsense://s3cret")), [], ["shop"], NOW)
    assert "docs/alerts.md" in log(store)[0].error
