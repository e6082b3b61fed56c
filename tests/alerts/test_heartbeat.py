"""The sign of life through a real sender to a real webhook."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.alerts.receivers import Received, webhook

from gnomon_collector.alerts.config import AlertConfig, parse_config
from gnomon_collector.alerts.delivery import Limits, Outbox
from gnomon_collector.alerts.heartbeat import HeartbeatJob, Pulse, outcome
from gnomon_collector.alerts.job import AlertJob, create_alert_jobs
from gnomon_collector.alerts.rulebook import Rulebook, published
from gnomon_collector.errors import ConfigError
from gnomon_collector.jobs import JobParts
from gnomon_collector.settings import Settings
from gnomon_collector.store.alerts import AlertRecords
from gnomon_collector.store.engine import Store
from gnomon_collector.store.price_source import PriceSource

NOW = datetime(2026, 3, 4, 14, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def job(store: Store, folder: Path, hook: Received, pulse: Pulse) -> HeartbeatJob:
    (folder / "alerts.toml").write_text(f'[heartbeat]\nurl = "{hook.url}"\nevery = "1m"\n')
    records = AlertRecords(store)
    rulebook = Rulebook(Settings(data=folder), records)
    outbox = Outbox(records, folder / "outbox", "http://gnomon.test", Limits(True, True))
    return HeartbeatJob(store, rulebook, outbox, pulse)


def test_a_sign_is_given_every_minute_while_rules_are_evaluated(store: Store, tmp_path: Path) -> None:
    pulse = Pulse()
    with webhook() as hook:
        heartbeat = job(store, tmp_path, hook, pulse)
        heartbeat.run_once(NOW)
        assert not hook.bodies, "nothing was evaluated yet"
        pulse.evaluated_at = NOW
        for second in (0, 5, 55, 60):
            heartbeat.run_once(NOW + timedelta(seconds=second))
        assert len(hook.bodies) == 2
        heartbeat.run_once(NOW + 4 * MINUTE)
        assert len(hook.bodies) == 2, "an evaluation of four minutes ago is no sign of life"
    assert hook.bodies[0]["alerts"][0]["labels"]["alertname"] == "Watchdog"
    assert len(set(hook.ids)) == 2
    assert not list((tmp_path / "outbox").iterdir())
    assert AlertRecords(store).deliveries("*", since=NOW - MINUTE) == []


def test_it_is_said_since_when_signs_are_not_taken(store: Store, tmp_path: Path) -> None:
    pulse = Pulse(NOW)
    with webhook() as hook:
        hook.statuses = [200, 503, 503]
        heartbeat = job(store, tmp_path, hook, pulse)
        heartbeat.run_once(NOW)
        assert outcome(store) == {"since": NOW.isoformat(), "error": ""}
        for minutes in (1, 2):
            heartbeat.run_once(NOW + minutes * MINUTE)
        said = outcome(store)
        assert said["since"] == (NOW + MINUTE).isoformat()
        assert said["error"] == "the webhook answered with HTTP 503"
        pulse.evaluated_at = NOW + 3 * MINUTE
        heartbeat.run_once(NOW + 3 * MINUTE)
    assert outcome(store)["error"] == ""


def test_who_evaluates_gives_the_sign(store: Store, tmp_path: Path) -> None:
    with webhook() as hook:
        (tmp_path / "alerts.toml").write_text(f'[heartbeat]\nurl = "{hook.url}"\n')
        settings = Settings(data=tmp_path, alert_allow_private=True, alert_allow_http=True)
        jobs = create_alert_jobs(JobParts(settings, store, "http://gnomon.test", PriceSource()))
        alerts = next(one for one in jobs if isinstance(one, AlertJob))
        heartbeat = next(one for one in jobs if isinstance(one, HeartbeatJob))
        heartbeat.run_once(NOW)
        assert not hook.bodies
        alerts.run_once(NOW)
        heartbeat.run_once(NOW)
        assert len(hook.bodies) == 1
        alerts.close()


def test_its_address_may_hold_a_secret() -> None:
    text = '[heartbeat]\nurl = "webhook+https://hc.example.com/${ID}"'
    config = parse_config(text, "a test", {"ID": "s3cret"})
    assert config.heartbeat is not None
    assert config.heartbeat.url.get_secret_value() == "webhook+https://hc.example.com/s3cret"
    assert config.heartbeat.every == 60
    assert "s3cret" not in repr(config) + published(config, ())
    with pytest.raises(ConfigError, match="variable ID"):
        parse_config(text, "a test", {})
    with pytest.raises(ConfigError, match=r"webhook\+https://host/path"):
        parse_config('[heartbeat]\nurl = "slack://a/b/c"', "a test", {})
    assert AlertConfig.model_validate({}).heartbeat is None
