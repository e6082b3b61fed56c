"""What Prometheus reads at ``GET /metrics``. Names and counts only, nothing of a request's content."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gnomon_collector.ingest.flusher import FlushStats
from gnomon_collector.ingest.inbox import Inbox
from gnomon_collector.jobs import JobStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class IngestMetrics:
    """The counters of one collector."""

    def __init__(self, inbox: Inbox, flushed: FlushStats) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Gauges(inbox, flushed))
        self.requests = Counter(
            "gnomon_ingest_requests", "Requests answered", ["route", "code"], registry=self._registry
        )
        self.spans = Counter("gnomon_ingest_spans", "Spans acknowledged", registry=self._registry)
        self.rejected_spans = Counter(
            "gnomon_ingest_rejected_spans", "Spans left out of accepted requests", registry=self._registry
        )
        self.log_records = Counter(
            "gnomon_ingest_log_records", "Log records acknowledged", registry=self._registry
        )
        self.rejected_log_records = Counter(
            "gnomon_ingest_rejected_log_records",
            "Log records left out of accepted requests",
            registry=self._registry,
        )
        self.data_points = Counter(
            "gnomon_ingest_data_points", "Data points of metrics acknowledged", registry=self._registry
        )
        self.rejected_data_points = Counter(
            "gnomon_ingest_rejected_data_points",
            "Data points left out of accepted requests",
            registry=self._registry,
        )
        self.ack_seconds = Histogram(
            "gnomon_ingest_ack_seconds", "Time from request to acknowledgement", registry=self._registry
        )

        self._query_seconds = Histogram(
            "gnomon_query_seconds",
            "Time that the database took for a statement",
            ["part", "kind"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            registry=self._registry,
        )

    def query_timer(self, part: str) -> Callable[[str, float], None]:
        """Return what counts the statements of a part of the server: (kind, seconds)."""
        return lambda kind, seconds: self._query_seconds.labels(part, kind).observe(seconds)

    def acknowledged(self, signal: str, items: int, rejected: int, duration_s: float) -> None:
        """Count an accepted request.

        Args:
            signal: traces, logs or metrics.
            items, rejected: its spans, log records or data points, and those left out.
            duration_s: from request to acknowledgement.
        """
        taken, left_out = {
            "traces": (self.spans, self.rejected_spans),
            "logs": (self.log_records, self.rejected_log_records),
            "metrics": (self.data_points, self.rejected_data_points),
        }[signal]
        taken.inc(items)
        left_out.inc(rejected)
        self.ack_seconds.observe(duration_s)

    def watch_jobs(self, read: Callable[[], list[JobStatus]]) -> None:
        """Report how the jobs in the background are doing."""
        self._registry.register(_Jobs(read))

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _Jobs(Collector):
    """Reads the state of the jobs when asked."""

    def __init__(self, read: Callable[[], list[JobStatus]]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        jobs, now = self._read(), datetime.now(UTC)
        lag = GaugeMetricFamily("gnomon_job_lag_seconds", "How late a job is", labels=["job"])
        took = GaugeMetricFamily("gnomon_job_last_duration_seconds", "Length of the last run", labels=["job"])
        runs = CounterMetricFamily("gnomon_job_runs", "Runs of a job", labels=["job"])
        failures = CounterMetricFamily("gnomon_job_failures", "Runs that failed", labels=["job"])
        for job in jobs:
            lag.add_metric([job.name], job.lag_s(now))
            took.add_metric([job.name], job.last_duration_s)
            runs.add_metric([job.name], job.runs)
            failures.add_metric([job.name], job.failures)
        yield from (lag, took, runs, failures)


class _Gauges(Collector):
    """Reads the state of inbox and flusher when asked."""

    def __init__(self, inbox: Inbox, flushed: FlushStats) -> None:
        self._inbox = inbox
        self._flushed = flushed

    def collect(self) -> Iterable[Metric]:
        inbox, flushed = self._inbox, self._flushed
        yield GaugeMetricFamily(
            "gnomon_inbox_bytes", "Acknowledged, not yet in the database", inbox.waiting_bytes
        )
        yield GaugeMetricFamily("gnomon_inbox_max_bytes", "Most bytes the inbox takes", inbox.max_bytes)
        yield GaugeMetricFamily(
            "gnomon_inbox_requests", "Acknowledged, not yet in the database", inbox.waiting_requests
        )
        yield GaugeMetricFamily("gnomon_quarantined_requests", "Requests set aside", inbox.quarantined())
        yield CounterMetricFamily("gnomon_flush_spans", "Spans brought to the database", flushed.spans)
        yield CounterMetricFamily("gnomon_flush_batches", "Batches brought to the database", flushed.batches)
        yield CounterMetricFamily("gnomon_flush_failures", "Failed attempts to write", flushed.failures)
        yield CounterMetricFamily("gnomon_flush_busy_seconds", "Time spent writing", flushed.busy_s)
