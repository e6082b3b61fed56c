"""What alerts keep: instances, incidents, silences, deliveries, and rules made in the dashboard."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast

from gnomon_collector.store.engine import Store

State: TypeAlias = Literal["normal", "pending", "firing", "recovering"]
DeliveryStatus: TypeAlias = Literal["sending", "sent", "failed", "given_up"]
DeliveryKind: TypeAlias = Literal["firing", "resolved", "repeat", "test"]

NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_Record = TypeVar("_Record")


@dataclass(frozen=True)
class Instance:
    """One label set of a rule, and where it stands.

    Attributes:
        labels: dimension → value
        held_s: seconds in this state, as far as it was watched
        incident_id: of the firing that lasts, else of the last one; "" before the first
        peak: furthest value of the firing
        samples: calls behind `value`
    """

    project: str
    rule: str
    labels: Mapping[str, str]
    state: State = "normal"
    held_s: float = 0.0
    evaluated_at: datetime = NEVER
    incident_id: str = ""
    fired_at: datetime | None = None
    resolved_at: datetime | None = None
    severity: str = "warning"
    value: float | None = None
    normal: float | None = None
    threshold: float | None = None
    peak: float | None = None
    samples: float = 0.0
    fingerprint: str = field(default="")

    def __post_init__(self) -> None:
        if not self.fingerprint:
            object.__setattr__(self, "fingerprint", fingerprint(self.labels))

    @property
    def is_firing(self) -> bool:
        """Whether people are told that it is wrong."""
        return self.state in ("firing", "recovering")


@dataclass(frozen=True)
class Incident:
    """One firing, from its beginning to its end. See the table ``alert_incidents``."""

    incident_id: str
    project: str
    rule: str
    metric: str
    fingerprint: str
    labels: Mapping[str, str]
    severity: str
    fired_at: datetime
    resolved_at: datetime | None = None
    value: float | None = None
    normal: float | None = None
    threshold: float | None = None
    peak: float | None = None
    summary: str = ""
    runbook: str = ""
    evidence: str = "{}"
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None


@dataclass(frozen=True)
class Silence:
    """Keeps messages back for a while. All of `matchers` must hold."""

    silence_id: str
    project: str
    matchers: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    author: str = ""
    comment: str = ""


@dataclass(frozen=True)
class Delivery:
    """A message to a channel, sent or to be sent."""

    delivery_id: str
    project: str
    channel: str
    group_key: str
    kind: DeliveryKind
    incidents: tuple[str, ...]
    status: DeliveryStatus
    attempts: int
    error: str
    created_at: datetime
    next_try_at: datetime
    sent_at: datetime | None = None


@dataclass(frozen=True)
class StoredRule:
    """A rule made in the dashboard, as TOML."""

    project: str
    name: str
    definition: str
    is_enabled: bool = True
    is_deleted: bool = False
    author: str = ""


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return a short hash of a label set, independent of its order."""
    return short_hash(sorted(labels.items()))


def short_hash(parts: object) -> str:
    """Return 16 hex digits of the SHA-256 of `parts` as JSON."""
    text = json.dumps(parts, ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


class AlertRecords:
    """Reads and writes these tables. Safe in any thread.

    The newest version of a row wins. Versions rise even when the clock is set back.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._last_version = 0

    # --- state of the evaluation --------------------------------------------------------------

    def instances(self, project: str = "*") -> list[Instance]:
        """Return every instance that ever left the normal state; ``*`` for those of all projects."""
        where = f"{_OF_PROJECT} OR {{project:String}} = '*'"
        return self._read(Instance, "alert_instances", where, {"project": project})

    def save_instances(self, rows: Sequence[Instance]) -> None:
        """Write instances; they are on stable storage when this returns."""
        self._write("alert_instances", rows)

    # --- incidents ----------------------------------------------------------------------------

    def save_incidents(self, rows: Sequence[Incident]) -> None:
        """Write incidents."""
        self._write("alert_incidents", rows)

    def incident(self, project: str, incident_id: str) -> Incident | None:
        """Return one incident, None when there is none of that id in the project."""
        found = self._read(
            Incident, "alert_incidents", "incident_id = {id:String} AND " + _OF_PROJECT,
            {"id": incident_id, "project": project},
        )  # fmt: skip
        return found[0] if found else None

    def incident_by_start(self, start: str) -> list[Incident]:
        """Return the incidents, of any project, whose id begins so: what a person types."""
        return self._read(
            Incident, "alert_incidents", "startsWith(incident_id, {start:String})", {"start": start}
        )

    def incidents(
        self, project: str, *, since: datetime, is_open: bool | None = None, limit: int = 500
    ) -> list[Incident]:
        """Return the incidents that lasted after `since`, newest first.

        Args:
            project: ``*`` for all
            is_open: only those that last, or only those that ended
        """
        state = {None: "1", True: "isNull(resolved_at)", False: "isNotNull(resolved_at)"}[is_open]
        where = (
            f"({_OF_PROJECT} OR {{project:String}} = '*') AND {state}"
            " AND (isNull(resolved_at) OR resolved_at >= {since:DateTime64(3, 'UTC')})"
        )
        bound = {"project": project, "since": since}
        return self._read(Incident, "alert_incidents", where, bound, f"fired_at DESC LIMIT {int(limit)}")

    def incidents_to_tell(self, since: datetime) -> list[Incident]:
        """Return incidents of all projects that last, or ended after `since`."""
        return self.incidents("*", since=since, limit=100_000)

    # --- silences -----------------------------------------------------------------------------

    def silences(self, project: str, since: datetime) -> list[Silence]:
        """Return the silences that end after `since`; ``*`` for all projects."""
        where = f"({_OF_PROJECT} OR {{project:String}} = '*') AND ends_at > {{since:DateTime64(3, 'UTC')}}"
        return self._read(
            Silence, "alert_silences", where, {"project": project, "since": since}, "ends_at DESC"
        )

    def save_silences(self, rows: Sequence[Silence]) -> None:
        """Write silences. One ends early by being written again with an earlier end."""
        self._write("alert_silences", rows)

    # --- deliveries ---------------------------------------------------------------------------

    def deliveries(self, project: str, *, since: datetime, limit: int = 1000) -> list[Delivery]:
        """Return the messages made after `since`, newest first; ``*`` for all projects."""
        where = (
            f"({_OF_PROJECT} OR {{project:String}} = '*') AND created_at >= {{since:DateTime64(3, 'UTC')}}"
        )
        bound = {"project": project, "since": since}
        return self._read(Delivery, "alert_deliveries", where, bound, f"created_at DESC LIMIT {int(limit)}")

    def save_deliveries(self, rows: Sequence[Delivery]) -> None:
        """Write deliveries; they are on stable storage when this returns."""
        self._write("alert_deliveries", rows)

    # --- rules --------------------------------------------------------------------------------

    def rules(self, project: str = "*") -> list[StoredRule]:
        """Return the rules made in the dashboard; ``*`` for those of all projects."""
        where = f"NOT is_deleted AND ({_OF_PROJECT} OR {{project:String}} = '*')"
        return self._read(StoredRule, "alert_rules", where, {"project": project}, "project, name")

    def save_rules(self, rows: Sequence[StoredRule]) -> None:
        """Write rules."""
        self._write("alert_rules", rows)

    # --- both ways ----------------------------------------------------------------------------

    def _read(
        self,
        kind: type[_Record],
        table: str,
        where: str,
        bound: Mapping[str, object],
        order: str = "1",
    ) -> list[_Record]:
        names = [one.name for one in fields(cast(Any, kind))]
        sql = f"SELECT {', '.join(names)} FROM {table} FINAL WHERE {where} ORDER BY {order}"  # noqa: S608
        rows = self._store.query(sql, bound).rows
        return [kind(**{name: _cell(value) for name, value in zip(names, row, strict=True)}) for row in rows]

    def _write(self, table: str, records: Sequence[object]) -> None:
        if not records:
            return
        names = [one.name for one in fields(cast(Any, records[0]))]
        version = self._next_version(table)
        rows = [(*(_value(getattr(one, name)) for name in names), version) for one in records]
        self._store.insert_rows(table, [*names, "version"], rows)

    def _next_version(self, table: str) -> int:
        with self._lock:
            newest = self._store.query(f"SELECT max(version) FROM {table}").rows[0][0]  # noqa: S608
            self._last_version = max(time.time_ns(), self._last_version + 1, int(str(newest)) + 1)
            return self._last_version


_OF_PROJECT = "project = {project:String}"


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return tuple(value) if isinstance(value, list) else value


def _value(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
