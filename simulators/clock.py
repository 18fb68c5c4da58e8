"""Times: integers of milliseconds since 1970 UTC inside, RFC 3339 and durations at the edge."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

LOCAL_OFFSET: Final = 8 * HOUR
"""The instruments stand in China: UTC+8 all year, no summer time."""

DEFAULT_START: Final = 1_767_542_400_000
"""2026-01-05T00:00:00+08:00, a Monday: captures start here unless told otherwise, so that the
same seed gives the same file."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)?")
_UNITS: Final = {"ms": 1, "s": SECOND, "m": MINUTE, "min": MINUTE, "h": HOUR, "d": DAY}


def local_hour(at: int) -> int:
    """The hour of day 0..23 at the instruments."""
    return (at + LOCAL_OFFSET) // HOUR % 24


def local_day(at: int) -> int:
    """Days since 1970-01-01 at the instruments; day 0 was a Thursday."""
    return (at + LOCAL_OFFSET) // DAY


def next_local_hour(at: int) -> int:
    """The next full hour strictly after ``at`` (the zone is a whole number of hours)."""
    return (at // HOUR + 1) * HOUR


def parse_duration(text: str) -> int:
    """``"90"``, ``"90s"``, ``"15m"``, ``"6h"``, ``"7d"`` in milliseconds.

    Raises:
        ValueError: the text is none of these, or not above zero.
    """
    match = _DURATION.fullmatch(text.strip())
    span = round(float(match[1]) * _UNITS[match[2] or "s"]) if match else 0
    if span <= 0:
        raise ValueError(f"a duration is like 30s, 15m, 6h or 7d, got {text!r}")
    return span


def parse_time(text: str) -> int:
    """RFC 3339 with a zone, in milliseconds.

    Raises:
        ValueError: not RFC 3339, or the zone is missing.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"a time is like 2026-03-01T08:00:00+08:00, with its zone, got {text!r}")
    return to_ms(moment)


def to_ms(moment: datetime) -> int:
    """An aware datetime in milliseconds, exactly."""
    epoch = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    return (moment - epoch) // timedelta(milliseconds=1)


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    epoch = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    return (epoch + timedelta(days=day)).strftime("%Y-%m-%dT")


# every message of a capture has a time of its own: half of a line's cost were they formatted anew
_MINUTES: Final = tuple(f"{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440))
_SECONDS: Final = tuple(f"{second:02d}." for second in range(60))
_MILLISECONDS: Final = tuple(f"{ms:03d}Z" for ms in range(1000))


def rfc3339(at: int) -> str:
    """``2026-01-04T16:00:00.000Z``."""
    day, at = divmod(at, DAY)
    minute, at = divmod(at, MINUTE)
    return _date(day) + _MINUTES[minute] + _SECONDS[at // 1000] + _MILLISECONDS[at % 1000]
