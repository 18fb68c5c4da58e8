"""What the registry knows of a device that its readings need: currency and time zone.

Both as functions of the moment for the few devices whose versions differ in them, and as plain
look-ups for all others.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.devices import having, since
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.records import Device

_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def registered(devices: Mapping[str, Device]) -> tuple[Currencies, Zones]:
    """What the registry knows.

    Raises:
        ConfigError: with every currency and time zone that is none.
    """
    faults: list[str] = []
    found = Currencies(devices, faults), Zones(devices, faults)
    if faults:
        raise ConfigError("\n".join(f"registry: {fault}" for fault in sorted(faults)))
    return found


class Currencies:
    """The currency of each device that has its own; faults are added to a list.

    Attributes:
        plain: of devices that always had the same.
        changing: whether other devices have had several; then only a call tells.
    """

    def __init__(self, devices: Mapping[str, Device], faults: list[str]) -> None:
        self.plain: dict[str, str] = {}
        self._spans: dict[str, tuple[tuple[int, str | None], ...]] = {}
        for name, versions in having(devices, "currency").items():
            spans = _spans(versions, "currency")
            faults += [
                f"device {name}: currency {code!r} is no code like CNY"
                for _, code in spans
                if code is not None and _CURRENCY.fullmatch(code) is None
            ]
            if len(spans) == 1 and spans[0][1] is not None:
                self.plain[name] = spans[0][1]
            else:
                self._spans[name] = spans

    @property
    def changing(self) -> bool:
        """Whether some device had several currencies."""
        return bool(self._spans)

    def at(self, device_id: str, moment: int, default: str) -> str:
        """The currency of a device at a time."""
        for begin, code in self._spans.get(device_id, ()):
            if begin <= moment:
                return default if code is None else code
        return self.plain.get(device_id, default)


class Zones:
    """The time zone of each device that has its own: ``find(device_id, default)``."""

    def __init__(self, devices: Mapping[str, Device], faults: list[str]) -> None:
        plain: dict[str, dt.tzinfo] = {}
        changing: dict[str, tuple[tuple[int, ZoneInfo | None], ...]] = {}
        for name, versions in having(devices, "time_zone").items():
            spans = tuple(
                (begin, None if zone is None else _zone(name, zone, faults))
                for begin, zone in _spans(versions, "time_zone")
            )
            if len(spans) == 1 and spans[0][1] is not None:
                plain[name] = spans[0][1]
            else:
                changing[name] = spans

        def find(device_id: str, default: dt.tzinfo) -> dt.tzinfo:
            spans = changing.get(device_id)
            if spans is None:
                return plain.get(device_id, default)
            return ChangingZone(spans, default)

        self.find = find if changing else plain.get


class ChangingZone(dt.tzinfo):
    """The zone of a clock that was set to another one: a local time is of the zone of its moment.

    Args:
        spans: from when on which zone holds (None: the default), the newest first.
        default: the zone before all of them.
    """

    def __init__(self, spans: Sequence[tuple[int, dt.tzinfo | None]], default: dt.tzinfo) -> None:
        self._spans = [(begin, zone or default) for begin, zone in spans]
        self._default = default

    def _zone(self, when: dt.datetime | None) -> tuple[dt.tzinfo, dt.datetime | None]:
        if when is None:
            return self._default, None
        for begin, zone in self._spans:
            local = when.replace(tzinfo=zone)
            passed = local - _EPOCH
            if (passed.days * 86400 + passed.seconds) * 10**9 >= begin:
                return zone, local
        return self._default, when.replace(tzinfo=self._default)

    def utcoffset(self, when: dt.datetime | None) -> dt.timedelta | None:
        """The offset of the zone that held then."""
        zone, local = self._zone(when)
        return zone.utcoffset(local)

    def dst(self, when: dt.datetime | None) -> dt.timedelta | None:
        """The summer time of the zone that held then."""
        zone, local = self._zone(when)
        return zone.dst(local)

    def tzname(self, when: dt.datetime | None) -> str | None:
        """The name of the zone that held then."""
        zone, local = self._zone(when)
        return zone.tzname(local)


def _spans(versions: Sequence[Device], parameter: str) -> tuple[tuple[int, str | None], ...]:
    """From when on a parameter had which value, the newest first; one where it never changed."""
    found: list[tuple[int, str | None]] = []
    for version in versions:
        value = version.parameters.get(parameter)
        text = None if value is None else str(value)
        if not found or found[-1][1] != text:
            found.append((since(version), text))
    return tuple(reversed(found))


def _zone(name: str, zone: str, faults: list[str]) -> ZoneInfo | None:
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        faults.append(f"device {name}: no time zone {zone!r}, such as Asia/Shanghai")
        return None
