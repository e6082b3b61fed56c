"""Canaries: fixed prompts sent to models on a schedule, so that a silent change of a provider's model shows.

Each answer is a span of a project of its own, with its text, and is judged there like any other. A slot of
the schedule is asked once: its span has an id made of the canary, the model and the slot.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gnomon_collector.quality.client import Answer, JudgeCallError, JudgeClient
from gnomon_collector.quality.policy import CanaryTable
from gnomon_collector.quality.recording import CallRecord, CallRecorder, span_ids
from gnomon_collector.quality.setup import JudgeSetup
from gnomon_collector.store import canaries
from gnomon_collector.store.engine import Store
from gnomon_collector.store.own_projects import CANARY_PROJECT
from gnomon_schemas import attributes as names

_log = logging.getLogger(__name__)
_EVERY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Slot:
    """One canary for one model in one slot of its schedule."""

    canary: CanaryTable
    model: str
    number: int

    @property
    def key(self) -> str:
        """What decides the ids of its span."""
        return f"{self.canary.name}:{prompt_version(self.canary)}:{self.model}:{self.number}"


class CanaryJob:
    """Asks what is due."""

    name = "canaries"
    interval_s = _EVERY_S

    def __init__(self, store: Store, setup: JudgeSetup) -> None:
        self._store = store
        self._setup = setup
        self._recorder = CallRecorder(store, CANARY_PROJECT, CANARY_PROJECT, setup.prices.periods)

    def run_once(self, now: datetime) -> None:
        """Ask the slots of `now` that have no answer yet."""
        slots = due(self._setup.policy.canaries, now)
        by_trace = {span_ids(_record(slot, None, 0, 0))[0]: slot for slot in slots}
        asked = canaries.answered(self._store, CANARY_PROJECT, list(by_trace))
        missing = [slot for trace, slot in by_trace.items() if trace not in asked]
        if missing:
            self._recorder.record(asyncio.run(self._ask_all(missing)))

    async def _ask_all(self, slots: list[Slot]) -> list[CallRecord]:
        client = self._setup.client()
        try:
            return list(await asyncio.gather(*(_ask(client, slot) for slot in slots)))
        finally:
            await client.close()

    def close(self) -> None:
        """Nothing is held."""


def due(tables: tuple[CanaryTable, ...], now: datetime) -> list[Slot]:
    """Return the slot that each canary is in now, for each of its models."""
    return [
        Slot(canary, model, int(now.timestamp()) // (canary.every_minutes * 60))
        for canary in tables
        for model in canary.models
    ]


def prompt_version(canary: CanaryTable) -> str:
    """Return a digest of what is asked: another prompt is another series."""
    return hashlib.sha256(f"{canary.system}\0{canary.prompt}".encode()).hexdigest()[:8]


async def _ask(client: JudgeClient, slot: Slot) -> CallRecord:
    """Ask, and return the call; a failure is a span too."""
    started_ns = time.time_ns()
    system = [{"role": "system", "content": slot.canary.system}] if slot.canary.system else []
    messages = [*system, {"role": "user", "content": slot.canary.prompt}]
    try:
        answer = await client.ask(messages, model=slot.model, max_tokens=slot.canary.max_tokens)
    except JudgeCallError as error:
        _log.warning("The canary %s got no answer of %s: %s", slot.canary.name, slot.model, error)
        return _record(slot, None, started_ns, time.time_ns(), str(error))
    return _record(slot, answer, answer.started_ns, answer.ended_ns)


def _record(slot: Slot, answer: Answer | None, started_ns: int, ended_ns: int, error: str = "") -> CallRecord:
    canary = slot.canary
    more = {
        names.INPUT_MESSAGES: _message("user", canary.prompt),
        names.SYSTEM_INSTRUCTIONS: json.dumps([{"type": "text", "content": canary.system}])
        if canary.system
        else "",
        f"{names.METADATA_PREFIX}reference": canary.reference,
    }
    if answer is not None:
        more[names.OUTPUT_MESSAGES] = _message("assistant", answer.text)
        more[f"{names.METADATA_PREFIX}fingerprint"] = answer.fingerprint
        if canary.pattern:
            matched = re.search(canary.pattern, answer.text) is not None
            more[f"{names.METADATA_PREFIX}pattern"] = "matched" if matched else "missed"
    return CallRecord(
        key=slot.key,
        trace_key=f"canary:{slot.key}",
        model=slot.model,
        started_ns=started_ns,
        ended_ns=ended_ns,
        prompt_name=canary.name,
        prompt_version=prompt_version(canary),
        response_model=answer.model if answer else "",
        response_id=answer.response_id if answer else "",
        finish_reason=answer.finish_reason if answer else "",
        input_tokens=answer.input_tokens if answer else 0,
        output_tokens=answer.output_tokens if answer else 0,
        cache_read_tokens=answer.cache_read_tokens if answer else 0,
        error=error,
        more=more,
    )


def _message(role: str, text: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}], ensure_ascii=False)
