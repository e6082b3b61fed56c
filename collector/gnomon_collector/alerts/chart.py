"""A small picture of a firing for messages: the value over the last hours, and what is normal."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from gnomon_collector.alerts.wording import shown
from gnomon_schemas.metrics import Unit

_WIDTH, _HEIGHT, _SCALE = 560, 180, 2
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 14, 26
_INK, _FAINT, _LINE, _BAD, _GOOD = "#1c2430", "#e3e7ec", "#2563c9", "#c2341a", "#0b7f74"


def chart_png(
    evidence: dict[str, Any], unit: Unit, normal: float | None, limit: float | None
) -> bytes | None:
    """Return a PNG of the series of an incident's evidence; None when there is none.

    Args:
        normal, limit: drawn as level lines where they are known
    """
    series = evidence.get("series") or {}
    times = [datetime.fromisoformat(one) for one in series.get("times", [])]
    values: list[float | None] = list(series.get("values", []))
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return None
    top = max([*known, *(level for level in (normal, limit) if level is not None)]) * 1.1 or 1.0
    image = Image.new("RGB", (_WIDTH * _SCALE, _HEIGHT * _SCALE), "#ffffff")
    draw = ImageDraw.Draw(image)
    _draw_frame(draw, times, top, unit)
    for level, colour in ((normal, _GOOD), (limit, _BAD)):
        if level is not None:
            _draw_level(draw, level / top, colour)
    for points in _pieces(times, values, top):
        draw.line(points, fill=_LINE, width=2 * _SCALE, joint="curve")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _draw_frame(draw: ImageDraw.ImageDraw, times: Sequence[datetime], top: float, unit: Unit) -> None:
    font = ImageFont.load_default(11 * _SCALE)
    for share in (0.0, 0.5, 1.0):
        y = _y(share)
        draw.line([(_LEFT * _SCALE, y), ((_WIDTH - _RIGHT) * _SCALE, y)], fill=_FAINT, width=_SCALE)
        draw.text(((_LEFT - 6) * _SCALE, y), shown(top * share, unit), fill=_INK, font=font, anchor="rm")
    for time, anchor in ((times[0], "la"), (times[-1], "ra")):
        place = (_x(times, time), (_HEIGHT - _BOTTOM + 6) * _SCALE)
        draw.text(place, f"{time:%H:%M} UTC", fill=_INK, font=font, anchor=anchor)


def _draw_level(draw: ImageDraw.ImageDraw, share: float, colour: str) -> None:
    y, dash = _y(share), 6 * _SCALE
    for x in range(_LEFT * _SCALE, (_WIDTH - _RIGHT) * _SCALE, 2 * dash):
        draw.line([(x, y), (x + dash, y)], fill=colour, width=_SCALE)


def _pieces(
    times: Sequence[datetime], values: Sequence[float | None], top: float
) -> list[list[tuple[float, float]]]:
    """The points of the line, cut where nothing is known."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for time, value in zip(times, values, strict=True):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append((_x(times, time), _y(value / top)))
    return [piece for piece in pieces if len(piece) > 1]


def _x(times: Sequence[datetime], time: datetime) -> float:
    length_s = (times[-1] - times[0]).total_seconds() or 1.0
    share = (time - times[0]).total_seconds() / length_s
    return (_LEFT + share * (_WIDTH - _LEFT - _RIGHT)) * _SCALE


def _y(share: float) -> float:
    return (_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)) * _SCALE
