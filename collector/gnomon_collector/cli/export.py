"""``gnomon export``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gnomon_collector.cli.options import data_option, settings_of
from gnomon_collector.cli.reach import require_data, server_client
from gnomon_collector.errors import BadRequest, ConfigError, ServerUnreachable
from gnomon_collector.runfile import ServerFile, find_server

if TYPE_CHECKING:
    from gnomon_collector.settings import Settings

KINDS = ("calls", "traces", "scores", "fine-tuning", "preferences", "examples")


@click.command()
@click.argument("kind", type=click.Choice(KINDS), required=False)
@click.option("--project", required=True, help="What project to export.")
@click.option(
    "--dataset", default="", metavar="NAME", help="A dataset instead of a time: examples, if no KIND is said."
)
@click.option("--range", "range_", default="30d", show_default=True, help="Back from now: 15m, 24h, 7d, 4w.")
@click.option("--from", "start", type=click.DateTime(), help="Start instead of --range, in UTC.")
@click.option("--to", "end", type=click.DateTime(), help="End, exclusive, in UTC.  [default: now]")
@click.option("--query", "q", default="", help="Only calls and traces that match: model:gpt-4o* status:ok …")
@click.option(
    "--format",
    "form",
    type=click.Choice(("jsonl", "csv")),
    default="jsonl",
    show_default=True,
    help="csv is there for calls, traces and scores.",
)
@click.option(
    "--good-from",
    type=click.FloatRange(0, 1),
    default=0.75,
    show_default=True,
    help="fine-tuning: mean rating from which an answer is worth learning from.",
)
@click.option("--with-ids", is_flag=True, help="fine-tuning and preferences: name the trace under metadata.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write.  [default: standard output]"
)
@data_option
def export(
    kind: str | None,
    project: str,
    dataset: str,
    range_: str,
    start: datetime | None,
    end: datetime | None,
    q: str,
    form: str,
    good_from: float,
    with_ids: bool,
    output: Path | None,
) -> None:
    """Write calls, traces, scores, a dataset, or the fine-tuning set that feedback makes: JSON Lines or CSV.

    fine-tuning: one line for each answer that users or reviewers rated well, or put right (then with the
    correction in its place): {"messages": [...]}, as OpenAI's fine-tuning takes it.
    preferences: one line for each correction: the corrected answer preferred to the one given.
    examples: one line for each example of a dataset: input, output, expected output, scores.

    \b
    Examples:
      gnomon export calls --project shop --range 7d --format csv -o calls.csv
      gnomon export traces --project shop --query "status:error latency>3s"
      gnomon export fine-tuning --project shop --range 4w -o train.jsonl
      gnomon export --project shop --dataset "hard questions" -o examples.jsonl
      gnomon export fine-tuning --project shop --dataset "hard questions" -o train.jsonl
    """
    if kind is None and not dataset:
        raise click.UsageError(f"Say what to export: {', '.join(KINDS)}; or --dataset NAME.")
    kind = kind or "examples"
    asked = {
        "project": project,
        "range": range_,
        "start": _iso(start),
        "end": _iso(end),
        "q": q,
        "format": form,
        "good_from": good_from,
        "with_ids": with_ids,
        "dataset": dataset,
    }
    settings = settings_of()
    server = find_server(settings.data_dir)
    blocks = _of_server(server, kind, asked) if server else _of_directory(settings, kind, asked)
    lines = _write(blocks, output)
    click.echo(f"{lines:,} lines{f' in {output}' if output else ''}", err=True)


def _write(blocks: Iterable[bytes], output: Path | None) -> int:
    """Write everything and return the number of lines. A file is there only when it is whole."""
    if output is None:
        return sum(_counted(sys.stdout.buffer.write, blocks))
    if not output.parent.is_dir():
        raise ConfigError(f"There is no directory {output.parent} to write to.")
    partial = output.with_name(f"{output.name}.partial")
    with partial.open("wb") as file:
        lines = sum(_counted(file.write, blocks))
    partial.replace(output)
    return lines


def _counted(write: Any, blocks: Iterable[bytes]) -> Iterator[int]:
    for block in blocks:
        write(block)
        yield block.count(b"\n")


def _of_server(server: ServerFile, kind: str, asked: dict[str, Any]) -> Iterator[bytes]:
    import httpx

    given = {name: value for name, value in asked.items() if value not in ("", None)}
    try:
        with (
            server_client(server) as client,
            client.stream("GET", f"/export/{kind}", params=given, timeout=None) as answer,
        ):
            if answer.is_error:
                answer.read()
                raise BadRequest(str(answer.json().get("detail", answer.text)))
            yield from answer.iter_bytes()
    except httpx.HTTPError as error:
        raise ServerUnreachable(f"The server broke off: {type(error).__name__}. Look at its log.") from error


def _of_directory(settings: Settings, kind: str, asked: dict[str, Any]) -> Iterator[bytes]:
    from gnomon_collector.api.router import check_form, trace_query
    from gnomon_collector.api.times import window
    from gnomon_collector.store.dataset_contents import dataset_lines
    from gnomon_collector.store.datasets import find_dataset
    from gnomon_collector.store.engine import open_store
    from gnomon_collector.store.export import exported

    require_data(settings)
    start, end = (datetime.fromisoformat(asked[name]) if asked[name] else None for name in ("start", "end"))
    span = window(datetime.now(UTC), "" if start else asked["range"], start, end)
    check_form(kind, asked["format"], asked["dataset"])  # type: ignore[arg-type]  # click has checked it
    query = trace_query(asked["project"], span, "traces" if kind == "traces" else "calls", asked["q"])
    with open_store(settings.store_url, data_dir=settings.data_dir) as store:
        if asked["dataset"]:
            found = find_dataset(store, asked["project"], asked["dataset"])
            yield from dataset_lines(store, found, kind, asked["with_ids"])  # type: ignore[arg-type]  # as above
            return
        yield from exported(
            store,
            kind,  # type: ignore[arg-type]  # as above
            query,
            asked["format"],
            with_ids=asked["with_ids"],
            good_from=asked["good_from"],
        )


def _iso(moment: datetime | None) -> str:
    return moment.replace(tzinfo=UTC).isoformat() if moment else ""
