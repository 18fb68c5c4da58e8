"""What the registry knows that makes a register begin anew: another meter, or its design.

A meter is replaced where a version of the device has another serial number, or another date of
commissioning; where neither version has a serial number, where the version says nothing else.  The
work is dated to the day or to the minute: a register may fall up to a day after that.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from gateway.checks.local_days import DAY, HOUR, Zone, zone_of
from gateway.devices import EVER, since, versions_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.records import Device

WORK: Final = DAY
"""Nanoseconds after the beginning of a version in which its meter may be put in."""
SLACK: Final = HOUR // 4
"""How far the clock of a meter may be off when it resets at midnight."""


def replacements(versions: Sequence[Device]) -> tuple[int, ...]:
    """When meters were replaced, the earliest first.

    Args:
        versions: of one device, the oldest first.
    """
    return tuple(since(after) for before, after in pairwise(versions) if _another(before, after))


def _another(before: Device, after: Device) -> bool:
    if before.serial_number is None and after.serial_number is None:
        return True
    return before.serial_number != after.serial_number or (
        after.commissioned_at is not None and before.commissioned_at != after.commissioned_at
    )


def replaced(times: Sequence[int], before: int, now: int, level: int = EVER) -> bool:
    """Whether a meter may have been replaced between two readings.

    Args:
        times: of the replacements.
        before: time of the reading before, ns.
        now: time of this one.
        level: since when the register has counted from where it began: a meter that began anew
            once is not replaced twice.
    """
    return any(before < begin + WORK and begin <= now and level < begin for begin in times)


def replaced_device(devices: Mapping[str, Device], device_id: str, before: int, now: int) -> bool:
    """The same, for a device of the registry."""
    return replaced(replacements(versions_of(devices, device_id)), before, now)


def resetting(device: Device | None, design: str, default_zone: str) -> Zone | None:
    """The zone at whose midnight a device's registers reset by design, None where they do not.

    Args:
        device: of the registry, whose parameter ``resets`` counts before the profile.
        design: ``daily`` or ``never``, of the profile.
        default_zone: of devices whose registry names none.
    """
    told = device.parameters.get("resets") if device is not None else None
    if (told if isinstance(told, str) else design) != "daily":
        return None
    return zone_of(device, default_zone)


def reset(zone: Zone, before: int, now: int) -> bool:
    """Whether a midnight lies between two readings, by clocks that are ``SLACK`` off at most."""
    return zone.day(before - SLACK)[0] < zone.day(now + SLACK)[0]
