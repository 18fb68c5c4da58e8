"""What is remembered of a tank: its levels, what left it, and the book of its days.

Levels and sales are in litres at 20 Cel.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import Final, NamedTuple

import msgspec

from gateway.checks.lasting import Lasting
from gateway.records import Flag

DAY: Final = 86_400 * 10**9
_QUIET: Final = 60 * 10**9
"""Nanoseconds around a sale in which the gauge is not believed."""
_MOST_SPANS: Final = 64
_NOISES: Final = 3.0
"""Times the gauge's noise that a level must be too low to tell of a sale."""
UNTOLD: Final = 0.05
"""Litres of a totaliser's step beyond the sale that are more than its display."""


class Point(NamedTuple):
    """A gauge reading: when, litres at 20 Cel, where it lies in the ledger."""

    at: int
    volume: float
    offset: int


class Sale(NamedTuple):
    """A sale: beginning and end, litres at 20 Cel."""

    started_at: int
    ended_at: int
    volume: float


class Book(msgspec.Struct, array_like=True):
    """A day, or the sum of several: variance and litres sold, and how often the gauge's noise.

    ``untold`` are litres that only a totaliser tells, in this day or in one beside it.
    """

    day: int = 0
    variance: float = 0.0
    sold: float = 0.0
    ends: int = 1
    untold: float = 0.0


class Span(msgspec.Struct, array_like=True):
    """What lay between two gauge readings.

    ``counted`` says that the variance is in the book of its day; ``hides`` that a tanker delivered,
    so that nobody knows what else went.
    """

    until: int
    variance: float
    counted: bool
    hides: bool = False


class Weighed(NamedTuple):
    """Two gauge readings, and how what lay between them was weighed.

    ``variance`` is what the gauge rose by plus what was ``sold`` between them, as it was known
    then; ``span`` and ``book`` (of its day) are the memory's own: what is learned later about sales
    that were not told changes them.
    """

    before: Point
    after: Point
    sold: float
    variance: float
    span: Span
    book: Book


class Tank(msgspec.Struct, array_like=True):
    """What is remembered of one tank.

    ``open`` says that the last of ``days`` is yet to be judged; ``latest`` are variance and sales
    of the last span that counted; ``settling`` says that the one after a delivery is to come.
    """

    gauge: tuple[str, str, str] = ("", "", "")
    points: list[Point] = []
    sales: list[Sale] = []
    seen: dict[str, int] = {}
    temperature: float = 20.0
    anchor: Point | None = None
    latest: tuple[float, float] = (0.0, 0.0)
    settling: bool = False
    spans: list[Span] = []
    today: Book = msgspec.field(default_factory=Book)
    days: list[Book] = []
    open: bool = False
    sudden: Flag | None = None
    surplus: Lasting = msgspec.field(default_factory=Lasting)
    loss: Lasting = msgspec.field(default_factory=Lasting)


def is_busy(sales: list[Sale], at: int) -> bool:
    """Whether a time is in or beside a sale, of those by beginning.

    The last ones are looked at first: at a busy tank, where many wait, one of them it mostly is.
    """
    end = bisect_right(sales, at + _QUIET, key=_started)
    return any(sales[place].ended_at + _QUIET >= at for place in range(end - 1, -1, -1))


def _started(sale: Sale) -> int:
    return sale.started_at


def remember(tank: Tank, span: Span) -> None:
    """Keeps what lay between two gauge readings."""
    tank.spans.append(span)
    del tank.spans[:-_MOST_SPANS]


def untold(tank: Tank, between: tuple[int, int], volume: float, gauge_noise: float) -> None:
    """Sales that only the totaliser tells, some time between two told ones.

    Where the gauge was read meanwhile, it shows when: what was missing there is explained now.
    """
    since, until = between
    anchor = tank.anchor
    if anchor is None or anchor.at <= since:
        insort(tank.sales, Sale(since, until, volume))
        return
    for book in (*tank.days, tank.today):
        if book.day * DAY < until and since < (book.day + 1) * DAY:
            book.untold += volume
    within = sorted((s for s in tank.spans if s.until > since), key=lambda span: span.variance)
    for span in within:
        missing = min(volume, -span.variance)
        if missing <= _NOISES * gauge_noise:
            break
        volume -= missing
        span.variance += missing
        if span is tank.spans[-1]:
            tank.latest = (tank.latest[0] + missing, tank.latest[1])
        for book in (*tank.days, tank.today):
            if span.counted and book.day == (span.until - 1) // DAY:
                book.variance += missing
    if volume > UNTOLD and not any(span.hides for span in within):
        insort(tank.sales, Sale(min(anchor.at, until), until, volume))
