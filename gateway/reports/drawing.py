"""SVG for paper: axes, marks and words, written so that browsers and Typst show the same."""

from __future__ import annotations

import datetime as dt
import math
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

INK: Final = "#1b2733"
FAINT: Final = "#5b6b7a"
RULE: Final = "#dfe5ea"
ACCENT: Final = "#0b4f8a"
BAD: Final = "#a32a1c"
GOOD: Final = "#1d6b41"
SHADE: Final = "#fbe3df"
BAND: Final = "#dcefe3"
BAND_OVER: Final = "#9fd0b3"
"""A band that lies on the shade."""
SEVERITY: Final = {
    "critical": "#8c1d12",
    "major": "#d9652b",
    "minor": "#e8b23f",
    "info": "#9fb4c7",
}
_FONT: Final = "Noto Sans CJK SC, Source Han Sans SC, Microsoft YaHei, sans-serif"
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


class Drawing:
    """Shapes one over the other, in a coordinate system of ``width`` x ``height``."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._parts: list[str] = []

    def line(
        self, x1: float, y1: float, x2: float, y2: float, colour: str = RULE, *,
        width: float = 1.0, dash: str = "",
    ) -> None:  # fmt: skip
        """A straight line."""
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{colour}" stroke-width="{width}"{dashed}/>'
        )

    def path(
        self, points: Sequence[tuple[float, float]], colour: str, *, width: float = 1.2
    ) -> None:
        """A line through points."""
        told = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(
            f'<polyline points="{told}" fill="none" stroke="{colour}" stroke-width="{width}" '
            'stroke-linejoin="round"/>'
        )

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """A filled rectangle."""
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.6):.1f}" '
            f'height="{max(height, 0):.1f}" fill="{colour}"/>'
        )

    def dot(self, x: float, y: float, colour: str, radius: float = 2.2) -> None:
        """A point."""
        self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>')

    def words(
        self, x: float, y: float, text: str, colour: str = FAINT, *, size: float = 10,
        anchor: str = "start", bold: bool = False,
    ) -> None:  # fmt: skip
        """Text; ``anchor`` is start, middle or end."""
        weight = ' font-weight="bold"' if bold else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-family="{_FONT}" font-size="{size}" '
            f'fill="{colour}" text-anchor="{anchor}"{weight}>{escape(text)}</text>'
        )

    def svg(self) -> str:
        """The drawing."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} '
            f'{self.height:g}">{"".join(self._parts)}</svg>'
        )


class Scale:
    """From values to places, and back to round marks.

    Args:
        values: what has to fit.
        first: the place of the least.
        last: the place of the greatest.
        margin: part of the span left free on both sides.
    """

    def __init__(
        self, values: Iterable[float], first: float, last: float, *, margin: float = 0.06
    ) -> None:
        found = [value for value in values if math.isfinite(value)] or [0.0]
        low, high = min(found), max(found)
        span = high - low or abs(high) * 0.1 or 1.0
        self.low, self.high = low - span * margin, high + span * margin
        self._first, self._last = first, last

    def __call__(self, value: float) -> float:
        """The place of a value."""
        part = (value - self.low) / (self.high - self.low)
        return self._first + part * (self._last - self._first)

    def marks(self, most: int = 5) -> list[tuple[float, str]]:
        """Round values within the scale, with their texts."""
        raw = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(each * power for each in _STEPS if each * power >= raw * 0.999)
        digits = max(0, -math.floor(math.log10(step) + 1e-9) + (step / power == 2.5))
        number = math.ceil(self.low / step)
        found = []
        while number * step <= self.high:
            found.append((number * step, f"{number * step:,.{digits}f}"))
            number += 1
        return found


_MARKS_S: Final = (
    60, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
    1_209_600, 2_592_000, 7_776_000, 31_536_000,
)  # fmt: skip


def time_marks(
    since: float, until: float, zone: dt.tzinfo, most: int = 7
) -> list[tuple[float, str]]:
    """Round moments between two (seconds since 1970), as a wall clock of the zone says them."""
    span = max(until - since, 1.0)
    step = next((each for each in _MARKS_S if span / each <= most), _MARKS_S[-1])
    offset = (dt.datetime.fromtimestamp(since, zone).utcoffset() or dt.timedelta()).total_seconds()
    at = math.ceil((since + offset) / step) * step - offset
    found = []
    days = dt.datetime.fromtimestamp(since, zone).date() != dt.datetime.fromtimestamp(
        until, zone
    ).date()  # fmt: skip
    form = "%Y-%m-%d" if step >= 86_400 else "%m-%d %H:%M" if days else "%H:%M"
    while at <= until:
        found.append((at, dt.datetime.fromtimestamp(at, zone).strftime(form)))
        at += step
    return found
