"""Read what Gnomon knows: metrics, calls, traces and scores, for notebooks and CI.

    from gnomon.client import Client

    client = Client("http://127.0.0.1:4318", api_key="gnm_r_…")     # a key of scope read
    client.metrics("cost_usd", "latency_p95_ms", by="model", range="7d")     # a pandas.DataFrame
    client.calls("model:gpt-4o* status:error", range="24h")

Answers are DataFrames where pandas is installed (``pip install pandas``); `rows` and `lines` give plain
Python without it.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Client", "ClientError"]

DEFAULT_ENDPOINT = "http://127.0.0.1:4318"


class ClientError(Exception):
    """The server refused, or cannot be reached; the message says what to do.

    Attributes:
        status: HTTP status; 0 where there was no answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """A Gnomon server to read from.

    Args:
        endpoint: address of the collector; by default ``GNOMON_ENDPOINT``, else port 4318 of this machine.
        api_key: a key of scope read; by default ``GNOMON_READ_KEY``, else ``GNOMON_API_KEY``.
        project: needed with a key of the whole server only.
        timeout_s: for each request.

    Every method takes the time as ``range`` (``"15m"``, ``"24h"``, ``"7d"``, ``"4w"``; by default 24 hours)
    or as ``start`` and ``end``, and raises `ClientError`.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        api_key: str | None = None,
        *,
        project: str = "",
        timeout_s: float = 60.0,
    ) -> None:
        environment = os.environ
        chosen = endpoint or environment.get("GNOMON_ENDPOINT") or DEFAULT_ENDPOINT
        self._base = f"{chosen.rstrip('/')}/api/v1"
        self._key = api_key or environment.get("GNOMON_READ_KEY") or environment.get("GNOMON_API_KEY") or ""
        self._project = project
        self._timeout_s = timeout_s

    def metrics(
        self,
        *names: str,
        by: str | Sequence[str] = (),
        range: str = "",
        start: datetime | None = None,
        end: datetime | None = None,
        step_s: int = 0,
        **filters: str | Sequence[str],
    ) -> pd.DataFrame:
        """Return metrics over time: columns ``time``, ``metric``, one per dimension in `by`, ``value``.

        Args:
            names: of the metric catalogue, see `catalogue`.
            by: dimensions to group by, such as ``"model"``.
            step_s: seconds of a step; 0 lets the server choose.
            filters: dimensions and the values to keep: ``model=["gpt-4o"]``.
        """
        asked = {"name": list(names), "by": _listed(by), "step": step_s or None, **_time(range, start, end)}
        series = self._get("/metrics", asked | filters)
        rows = [
            {"time": point["time"], "metric": one["metric"], **one["group"], "value": point["value"]}
            for one in series
            for point in one["points"]
        ]
        frame = _pandas().DataFrame(rows, columns=["time", "metric", *_listed(by), "value"])
        frame["time"] = _pandas().to_datetime(frame["time"], utc=True)
        return frame

    def totals(
        self,
        *names: str,
        by: str | Sequence[str] = (),
        range: str = "",
        start: datetime | None = None,
        end: datetime | None = None,
        **filters: str | Sequence[str],
    ) -> pd.DataFrame:
        """Return metrics over the whole time: one row per group, one column per metric."""
        asked = {"name": list(names), "by": _listed(by), **_time(range, start, end)}
        groups: dict[tuple[str, ...], dict[str, Any]] = {}
        for one in self._get("/metrics", asked | filters):
            groups.setdefault(tuple(one["group"].values()), dict(one["group"]))[one["metric"]] = one["total"]
        return _pandas().DataFrame(list(groups.values()), columns=[*_listed(by), *names])

    def calls(
        self,
        query: str = "",
        *,
        range: str = "",
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> pd.DataFrame:
        """Return every billable model call that matches a query such as ``model:gpt-4o* latency>3s``."""
        return self._frame(self.lines("calls", query, range=range, start=start, end=end))

    def traces(
        self,
        query: str = "",
        *,
        range: str = "",
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> pd.DataFrame:
        """Return every trace that matches a query."""
        return self._frame(self.lines("traces", query, range=range, start=start, end=end))

    def scores(
        self, *, range: str = "", start: datetime | None = None, end: datetime | None = None
    ) -> pd.DataFrame:
        """Return every score: by users, reviewers, judges and checks."""
        return self._frame(self.lines("scores", range=range, start=start, end=end), time="created_at")

    def datasets(self) -> list[dict[str, Any]]:
        """Return the datasets of the project: name, description, number of examples."""
        found: list[dict[str, Any]] = self._get("/datasets", {})
        return found

    def dataset(self, name: str) -> pd.DataFrame:
        """Return the examples of a dataset: input messages, output, expected output, scores."""
        return self._frame(self.lines("examples", dataset=name))

    def trace(self, trace_id: str) -> dict[str, Any]:
        """Return one trace: ``spans`` with every column, and ``scores``."""
        found: dict[str, Any] = self._get(f"/traces/{urllib.parse.quote(trace_id, safe='')}", {})
        return found

    def catalogue(self) -> list[dict[str, Any]]:
        """Return every metric: name, unit, which direction is good, dimensions."""
        found: list[dict[str, Any]] = self._get("/metrics/catalogue", {})
        return found

    def lines(
        self,
        kind: str,
        query: str = "",
        *,
        range: str = "",
        start: datetime | None = None,
        end: datetime | None = None,
        dataset: str = "",
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows of an export as they come.

        Args:
            kind: calls, traces, scores, fine-tuning, preferences, or examples (of a dataset).
            dataset: fine-tuning, preferences and examples: of this dataset, whatever the time.
        """
        asked = {"q": query, "dataset": dataset, **_time(range, start, end)}
        with self._open(f"/export/{kind}", asked) as answer:
            for line in answer:
                if line.strip():
                    yield json.loads(line)

    def _frame(self, rows: Iterator[dict[str, Any]], time: str = "time") -> pd.DataFrame:
        frame = _pandas().DataFrame(list(rows))
        if time in frame:
            frame[time] = _pandas().to_datetime(frame[time], utc=True)
        return frame

    def _get(self, path: str, asked: dict[str, Any]) -> Any:
        with self._open(path, asked) as answer:
            return json.load(answer)

    def _open(self, path: str, asked: dict[str, Any]) -> Any:
        given = {name: value for name, value in {"project": self._project, **asked}.items() if value}
        query = urllib.parse.urlencode(given, doseq=True)
        request = urllib.request.Request(
            f"{self._base}{path}{f'?{query}' if query else ''}",
            headers={"Authorization": f"Bearer {self._key}"},
        )
        try:
            return urllib.request.urlopen(request, timeout=self._timeout_s)
        except urllib.error.HTTPError as error:
            raise ClientError(_detail(error), error.code) from None
        except OSError as error:
            raise ClientError(
                f"{self._base} cannot be reached: {error}. Is `gnomon serve` running?"
            ) from None


def _detail(error: urllib.error.HTTPError) -> str:
    body = error.read(10_000)
    try:
        detail = json.loads(body).get("detail", "")
    except (ValueError, AttributeError):
        detail = ""
    return str(detail) or f"HTTP {error.code}"


def _time(range_: str, start: datetime | None, end: datetime | None) -> dict[str, str]:
    return {
        "range": range_,
        "start": start.isoformat() if start else "",
        "end": end.isoformat() if end else "",
    }


def _listed(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise ClientError(
            "DataFrames need pandas: pip install pandas. Client.lines(...) works without it."
        ) from None
    return pandas
