"""Weeks and months, by the calendar of the one time zone of the country."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from gateway.errors import ConfigError
from gateway.times import SECOND

ZONE: Final = ZoneInfo("Asia/Shanghai")
"""The one time zone of the country; times on paper are written with their offset."""

Kind = Literal["week", "month"]
_MONTH: Final = re.compile(r"(\d{4})-(\d\d)", re.ASCII)
_WEEK: Final = re.compile(r"(\d{4})-W(\d\d)", re.ASCII)


class Period(msgspec.Struct, frozen=True):
    """A week (ISO 8601, from Monday) or month; ``name`` is such as ``2026-W47`` or ``2026-11``."""

    kind: Kind
    name: str
    first: dt.date
    last: dt.date

    @property
    def begin(self) -> int:
        """Its first moment, in ns UTC."""
        return _midnight(self.first)

    @property
    def end(self) -> int:
        """The first moment behind it, in ns UTC."""
        return _midnight(self.last + dt.timedelta(days=1))

    @property
    def days(self) -> list[dt.date]:
        """Its days."""
        count = (self.last - self.first).days + 1
        return [self.first + dt.timedelta(days=number) for number in range(count)]

    @property
    def before(self) -> Period:
        """The week or month before it."""
        return holding(self.kind, self.first - dt.timedelta(days=1))


def _midnight(day: dt.date) -> int:
    at = dt.datetime.combine(day, dt.time(), tzinfo=ZONE).astimezone(dt.UTC)
    return ((at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(seconds=1)) * SECOND


def month(text: str) -> Period:
    """A month such as ``2026-11``.

    Raises:
        ConfigError: it is none.
    """
    found = _MONTH.fullmatch(text)
    fault = ConfigError(f"month {text!r:.40}: write it like 2026-11")
    if found is None:
        raise fault
    try:
        return holding("month", dt.date(int(found[1]), int(found[2]), 1))
    except (ValueError, OverflowError):
        raise fault from None


def week(text: str) -> Period:
    """A week of ISO 8601 such as ``2026-W47``.

    Raises:
        ConfigError: it is none.
    """
    found = _WEEK.fullmatch(text)
    fault = ConfigError(f"week {text!r:.40}: write it like 2026-W47")
    if found is None:
        raise fault
    try:
        return holding("week", dt.date.fromisocalendar(int(found[1]), int(found[2]), 1))
    except (ValueError, OverflowError):
        raise fault from None


def holding(kind: Kind, day: dt.date) -> Period:
    """The week or month that holds a day."""
    if kind == "week":
        year, number, weekday = day.isocalendar()
        first = day - dt.timedelta(days=weekday - 1)
        return Period(kind, f"{year}-W{number:02d}", first, first + dt.timedelta(days=6))
    first = day.replace(day=1)
    following = (first + dt.timedelta(days=31)).replace(day=1)
    return Period(kind, f"{first:%Y-%m}", first, following - dt.timedelta(days=1))


def checked(month_: str | None, week_: str | None) -> Period:
    """The one that is asked for.

    Raises:
        ConfigError: none is, or both, or it lies where no data can be.
    """
    if (month_ is None) == (week_ is None):
        raise ConfigError("month or week, one of them: 2026-11 or 2026-W47")
    found = month(month_) if month_ is not None else week(str(week_))
    if not dt.date(1980, 1, 1) <= found.first <= dt.date(2199, 1, 1):
        raise ConfigError(f"{found.name}: from 1980 to 2199")
    return found
