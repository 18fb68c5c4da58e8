"""The drawings of a report: a difference to scale, readings around a flag, flags by day."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.reports.drawing import (
    ACCENT,
    BAD,
    BAND,
    BAND_OVER,
    FAINT,
    GOOD,
    INK,
    SEVERITY,
    SHADE,
    Drawing,
    Scale,
    time_marks,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from gateway.messages import Texts

_WIDTH: Final = 660.0
_LEFT: Final = 64.0
_RIGHT: Final = 12.0
_BESIDE: Final = 8.0
"""How far what was expected is drawn beyond the flag's span, so that it is seen."""
_APART: Final = 40.0
"""Marks nearer than this to a word would be written over it."""


class Limits(NamedTuple):
    """What was expected: from ``low`` to ``high``, the same where one value was."""

    low: float
    high: float
    tolerance: float


def difference(texts: Texts, observed: float, limits: Limits, unit: str) -> str:
    """Observed and expected on one axis, the tolerance drawn to scale."""
    drawing = Drawing(_WIDTH, 118)
    low, high = limits.low - limits.tolerance, limits.high + limits.tolerance
    across = Scale((observed, low, high), 40, _WIDTH - 40, margin=0.12)
    axis = 74.0
    drawing.box(across(low), axis - 22, across(high) - across(low), 22, BAND)
    near = limits.low if observed < limits.low else limits.high
    nearest = near if not limits.low <= observed <= limits.high else observed
    drawing.line(30, axis, _WIDTH - 30, axis, FAINT)
    for value, text in across.marks(6):
        drawing.line(across(value), axis, across(value), axis + 4, FAINT)
        drawing.words(across(value), axis + 16, text, anchor="middle", size=9)
    drawing.words(_WIDTH - 30, axis + 32, unit, anchor="end", size=9)
    for value in {limits.low, limits.high}:
        drawing.line(across(value), axis - 24, across(value), axis, GOOD, width=2)
    drawing.line(across(observed), axis - 34, across(observed), axis, BAD, width=2)
    drawing.dot(across(observed), axis - 34, BAD, 3.5)
    begin, end = across(nearest), across(observed)
    drawing.line(begin, axis - 34, end, axis - 34, BAD, dash="3 2")
    _word(drawing, end, axis - 44, texts("evidence.observed"), BAD)
    middle = across((limits.low + limits.high) / 2)
    height = axis - 44 if abs(middle - end) > _APART * 2.5 else axis - 60
    _word(drawing, middle, height, texts("evidence.expected"), GOOD)
    drawing.box(30, axis + 24, 10, 8, BAND)
    drawing.words(44, axis + 32, texts("evidence.within_tolerance"), size=9)
    return drawing.svg()


def _word(drawing: Drawing, x: float, y: float, text: str, colour: str) -> None:
    """A word that stays on the paper."""
    anchor = "start" if x < _APART * 2 else "end" if x > _WIDTH - _APART * 2 else "middle"
    drawing.words(x, y, text, colour, bold=True, anchor=anchor)


class Line(NamedTuple):
    """A quantity by time: moments in seconds since 1970, and values."""

    at: list[float]
    values: list[float]


def readings(
    line: Line, flagged: tuple[float, float], limits: Limits | None, zone: dt.tzinfo, name: str
) -> str:
    """The values around a flag; its span shaded, in it what was expected as a band."""
    drawing = Drawing(_WIDTH, 230)
    top, bottom = 26.0, 196.0
    since, until = min(*line.at, flagged[0]), max(*line.at, flagged[1])
    wanted = [*line.values]
    if limits is not None:
        wanted += [limits.low - limits.tolerance, limits.high + limits.tolerance]
    up = Scale(wanted, bottom, top)
    across = Scale((since, until), _LEFT, _WIDTH - _RIGHT, margin=0.01)
    begin, end = across(flagged[0]), across(flagged[1])
    drawing.box(begin - 1.5, top, end - begin + 3, bottom - top, SHADE)
    if limits is not None:
        high, low = up(limits.high + limits.tolerance), up(limits.low - limits.tolerance)
        # Only there: what was expected of one sale or at one moment says nothing of the others.
        left, right = max(begin - _BESIDE, _LEFT), min(end + _BESIDE, _WIDTH - _RIGHT)
        drawing.box(left, high, right - left, max(low - high, 1.2), BAND_OVER)
    for value, text in up.marks():
        drawing.line(_LEFT, up(value), _WIDTH - _RIGHT, up(value))
        drawing.words(_LEFT - 6, up(value) + 3.5, text, anchor="end", size=9)
    _time_axis(drawing, across, (since, until), bottom, zone)
    points = [(across(at), up(value)) for at, value in zip(line.at, line.values, strict=True)]
    drawing.path(points, ACCENT)
    for at, point in zip(line.at, points, strict=True):
        inside = flagged[0] <= at <= flagged[1]
        drawing.dot(*point, BAD if inside else ACCENT, 2.6 if inside else 1.6)
    drawing.words(_LEFT, 14, name, INK, bold=True)
    return drawing.svg()


def _time_axis(
    drawing: Drawing, across: Scale, span: tuple[float, float], bottom: float, zone: dt.tzinfo
) -> None:
    drawing.line(_LEFT, bottom, _WIDTH - _RIGHT, bottom, FAINT)
    for at, text in time_marks(*span, zone):
        x = across(at)
        drawing.line(x, bottom, x, bottom + 4, FAINT)
        anchor = "end" if x > _WIDTH - _APART else "middle"
        drawing.words(x, bottom + 16, text, anchor=anchor, size=9)


def by_day(
    texts: Texts, days: Sequence[str], counts: Mapping[str, Sequence[int]], usual: float
) -> str:
    """Flags by the day they began, stacked by severity; a dashed line is the day before's period.

    Args:
        texts: of the language.
        days: labels, in their order.
        counts: by severity, one number a day.
        usual: the mean of a day of the period before.
    """
    drawing = Drawing(_WIDTH, 190)
    top, bottom = 30.0, 160.0
    totals = [sum(counts[severity][n] for severity in counts) for n in range(len(days))]
    most = max(*totals, math.ceil(usual), 1)
    up = Scale((0, most), bottom, top, margin=0)
    for value, text in up.marks(4):
        if value == int(value):
            drawing.line(_LEFT, up(value), _WIDTH - _RIGHT, up(value))
            drawing.words(_LEFT - 6, up(value) + 3.5, text, anchor="end", size=9)
    wide = (_WIDTH - _RIGHT - _LEFT) / len(days)
    every = math.ceil(len(days) / 11)
    for number, day in enumerate(days):
        x, edges = _LEFT + number * wide, [0]
        for severity in SEVERITY:
            edges.append(edges[-1] + counts[severity][number])
        for severity, (low, high) in zip(SEVERITY, pairwise(edges), strict=True):
            if high > low:
                drawing.box(
                    x + wide * 0.15, up(high), wide * 0.7, up(low) - up(high), SEVERITY[severity]
                )
        if number % every == 0:
            drawing.words(x + wide / 2, bottom + 15, day, anchor="middle", size=9)
    drawing.line(_LEFT, bottom, _WIDTH - _RIGHT, bottom, FAINT)
    drawing.line(_LEFT, up(usual), _WIDTH - _RIGHT, up(usual), INK, dash="4 3")
    x = _LEFT
    for severity, colour in SEVERITY.items():
        drawing.box(x, 8, 10, 10, colour)
        drawing.words(x + 14, 17, texts.word("severity", severity), size=9.5)
        x += 74
    drawing.line(x, 13, x + 20, 13, INK, dash="4 3")
    drawing.words(x + 25, 17, texts("district.usual"), size=9.5)
    return drawing.svg()
