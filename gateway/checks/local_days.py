"""The days and nights of the place where a device stands.

A zone is a name of the IANA list (``Asia/Shanghai``) or an offset (``+08:00``).  Midnights are
shared: all devices of a zone hold the same numbers in memory.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from gateway.records import Device

HOUR: Final = 3_600 * 10**9
DAY: Final = 24 * HOUR
BEIJING: Final = "+08:00"
_SECOND: Final = 10**9
_OFFSET: Final = re.compile(r"([+-])(\d\d):([0-5]\d)")
_REMEMBERED: Final = 4_096


class Zone:
    """A time zone, and the midnights in it.

    Args:
        name: as in the registry.

    Raises:
        ValueError: there is no such zone.
    """

    def __init__(self, name: str) -> None:
        self._zone: ZoneInfo | None = None
        self._offset = 0
        self._days: dict[int, tuple[int, int]] = {}
        found = _OFFSET.fullmatch(name)
        if found is not None:
            sign = -1 if found[1] == "-" else 1
            self._offset = sign * (int(found[2]) * 60 + int(found[3])) * 60 * _SECOND
            return
        try:
            self._zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"there is no time zone {name[:40]!r}") from None

    def day(self, at: int) -> tuple[int, int]:
        """The midnights before (or at) and after a time, ns UTC."""
        if self._zone is None:
            number = (at + self._offset) // DAY
        else:
            here = datetime.fromtimestamp(at // _SECOND, self._zone)
            number = here.toordinal()
        found = self._days.get(number)
        if found is None:
            if len(self._days) >= _REMEMBERED:
                self._days.clear()
            found = self._days[number] = (self._midnight(number), self._midnight(number + 1))
        return found

    def _midnight(self, number: int) -> int:
        if self._zone is None:
            return number * DAY - self._offset
        at = datetime.combine(datetime.fromordinal(number), time(), self._zone)
        return int((at.astimezone(UTC) - _EPOCH) / timedelta(seconds=1)) * _SECOND


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1_024)
def zone(name: str) -> Zone:
    """The zone of a name, the same one each time.

    Raises:
        ValueError: there is no such zone.
    """
    return Zone(name)


def zone_of(device: Device | None, default: str) -> Zone:
    """The zone that the registry names for a device, else the default."""
    told = device.parameters.get("time_zone") if device is not None else None
    if isinstance(told, str):
        try:
            return zone(told)
        except ValueError:
            pass  # the normaliser has told of it: its fault is in the registry
    return zone(default)
