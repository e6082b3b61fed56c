"""Which rules, channels, budgets and objectives are in force: Gnomon's, the file's, the dashboard's."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from gnomon_collector.alerts.config import (
    DEFAULT_FILE,
    AlertConfig,
    Channel,
    Slo,
    default_rules,
    merged_rules,
    parse_rule,
    read_config,
)
from gnomon_collector.alerts.model import Rule
from gnomon_collector.errors import ConfigError
from gnomon_collector.settings import Settings
from gnomon_collector.store.alerts import AlertRecords, StoredRule

_log = logging.getLogger(__name__)


class Rulebook:
    """Reads the alerts file again when it changed. A file that is wrong then leaves what was in force."""

    def __init__(self, settings: Settings, records: AlertRecords) -> None:
        """Read the file.

        Raises:
            ConfigError: it is named by the settings and not there, or something in it is wrong
        """
        self._path = Path(settings.alerts_file) if settings.alerts_file else settings.data_dir / DEFAULT_FILE
        self._records = records
        self._defaults = default_rules() if settings.alert_default_rules else ()
        self._read_at_ns = self._changed_at_ns()
        if settings.alerts_file and not self._read_at_ns:
            raise ConfigError(f"The alerts file {self._path} is not there: see GNOMON_ALERTS_FILE.")
        self.config = read_config(self._path) if self._read_at_ns else AlertConfig.model_validate({})
        self._parsed: dict[StoredRule, Rule | None] = {}
        self._merged: tuple[Rule, ...] = ()
        self._layers: tuple[AlertConfig, tuple[Rule, ...]] | None = None

    def refresh(self) -> None:
        """Read the file again if it changed."""
        changed_at_ns = self._changed_at_ns()
        if changed_at_ns == self._read_at_ns:
            return
        self._read_at_ns = changed_at_ns
        try:
            self.config = read_config(self._path) if changed_at_ns else AlertConfig.model_validate({})
        except ConfigError as error:
            _log.error(
                "The alerts file was changed and is wrong, what it said before stays in force: %s", error
            )

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules in force, switched-off ones left out; the same tuple while none has changed.

        Raises:
            StoreError: those of the dashboard cannot be read
        """
        config, stored = self.config, self.stored()
        if self._layers is None or self._layers[0] is not config or self._layers[1] != stored:
            merged = merged_rules(self._defaults, _of_objectives(config.slos), config.rules, stored)
            self._merged = tuple(rule for rule in merged if rule.enabled)
            self._layers = config, stored
        return self._merged

    def stored(self) -> tuple[Rule, ...]:
        """Return the rules made in the dashboard. One that cannot be read any more is left out."""
        # parsing a rule costs more than reading it
        self._parsed = {
            one: self._parsed[one] if one in self._parsed else as_rule(one) for one in self._records.rules()
        }
        return tuple(rule for rule in self._parsed.values() if rule is not None)

    def _changed_at_ns(self) -> int:
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return 0


def as_rule(stored: StoredRule) -> Rule | None:
    """Return the rule that was made in the dashboard, for the project it was made in."""
    try:
        rule = parse_rule(stored.definition)
    except ConfigError as error:
        _log.warning("The rule %r of the project %r: %s", stored.name, stored.project, error)
        return None
    return rule.model_copy(
        update={"name": stored.name, "project": stored.project, "enabled": rule.enabled and stored.is_enabled}
    )


def _of_objectives(slos: tuple[Slo, ...]) -> tuple[Rule, ...]:
    return tuple(rule_of(slo) for slo in slos if slo.alert)


def rule_of(slo: Slo) -> Rule:
    """Return the rule that watches how fast the error budget of an objective burns."""
    return Rule.model_validate(
        {
            "name": f"SLO {slo.name}",
            "metric": "latency_p95_ms" if slo.latency_ms else "success_rate",
            "project": slo.project,
            "filter": slo.filter,
            "group_by": slo.group_by,
            "min_count": 50,
            "severity": "critical",
            "summary": f"The objective {slo.name} ({slo.objective:.2%}) uses up its error budget too fast.",
            "condition": {"kind": "burn_rate", "objective": slo.objective, "latency_ms": slo.latency_ms},
        }
    )


def published(config: AlertConfig, rules: Sequence[Rule]) -> str:
    """Return what is in force, as JSON without the addresses of channels."""
    said = config.model_dump(mode="json", by_alias=True, exclude={"channels", "rules", "heartbeat"})
    said["channel"] = [
        {"name": one.name, "kind": _kind_of(one), "matchers": one.matchers} for one in config.channels
    ]
    said["rule"] = [one.model_dump(mode="json", by_alias=True) for one in rules]
    return json.dumps(said, ensure_ascii=False, sort_keys=True)


def _kind_of(channel: Channel) -> str:
    """What kind of channel it is: the scheme of its address."""
    return channel.url.get_secret_value().partition(":")[0][:30]
