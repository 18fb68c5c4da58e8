"""The registry in memory: what was true of each device, and when.

What is judged is a function of ledger, profiles and registry.  So that a later import changes no
judgement of what was measured before it, a device has versions, each from its ``valid_from`` on
(absent: since ever), and what is measured at a time is read and judged by the version of that time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gateway.records import Device

HIDDEN = "(secret)"
"""What stands for a key or password wherever the registry is shown."""
_SECRET = re.compile(r"(?:^|_)(?:keys?|secrets?|passwords?|passphrase|tokens?|pin)$", re.IGNORECASE)

EVER = -(2**63)
"""Nanoseconds before any time: when a version without ``valid_from`` begins."""
LATEST = 2**63 - 1
"""Nanoseconds after any time: the registry of now."""


def since(version: Device) -> int:
    """When a version begins, as a number to compare."""
    return EVER if version.valid_from is None else version.valid_from


class Registry(dict[str, "Device"]):
    """Registered devices by id: the latest version of each, and with `at` the one of a time.

    A dict, because messages look devices up by the million; nobody changes it after it was made.
    A latest version without ``valid_from`` is the only one of its device, which `valid_at` makes
    use of.

    Args:
        versions: all versions, in any order; no two of a device begin at the same time.
    """

    __slots__ = ("_having", "_older")

    def __init__(self, versions: Iterable[Device] = ()) -> None:
        super().__init__()
        self._older: dict[str, tuple[Device, ...]] = {}  # newest first, without the latest
        self._having: dict[str, dict[str, tuple[Device, ...]]] = {}
        several: dict[str, list[Device]] = {}
        for version in versions:
            name = version.device_id
            known = self.setdefault(name, version)
            if known is not version:
                several.setdefault(name, [known]).append(version)
        for name, found in several.items():
            self[name], *older = sorted(found, key=since, reverse=True)
            self._older[name] = tuple(older)

    def at(self, device_id: str, measured_at: int) -> Device | None:
        """What was true of the device at a time; None where it was not registered then."""
        latest = self.get(device_id)
        if latest is None or since(latest) <= measured_at:
            return latest
        older = self._older.get(device_id, ())
        return next((version for version in older if since(version) <= measured_at), None)

    def versions(self, device_id: str) -> tuple[Device, ...]:
        """Every version of a device, the oldest first; none of one that is not registered."""
        latest = self.get(device_id)
        if latest is None:
            return ()
        return (*reversed(self._older.get(device_id, ())), latest)

    def history(self) -> Iterator[Device]:
        """Every version of every device."""
        for name in self:
            yield from self.versions(name)

    def having(self, parameter: str) -> Mapping[str, tuple[Device, ...]]:
        """All versions of the devices of which some version has this parameter, by device."""
        found = self._having.get(parameter)
        if found is None:
            found = self._having[parameter] = {
                name: self.versions(name)
                for name, latest in self.items()
                if parameter in latest.parameters
                or any(parameter in version.parameters for version in self._older.get(name, ()))
            }
        return found


def valid_at(devices: Mapping[str, Device], device_id: str, measured_at: int) -> Device | None:
    """The version of a device that was valid at a time; a plain mapping has one of each.

    Args:
        devices: the registry, or devices by id.
        device_id: of which device.
        measured_at: ns UTC.
    """
    device = devices.get(device_id)
    if device is None or device.valid_from is None:
        return device
    if isinstance(devices, Registry):
        return devices.at(device_id, measured_at)
    return device if device.valid_from <= measured_at else None


def versions_of(devices: Mapping[str, Device], device_id: str) -> tuple[Device, ...]:
    """Every version of a device, the oldest first; a plain mapping has one of each."""
    if isinstance(devices, Registry):
        return devices.versions(device_id)
    device = devices.get(device_id)
    return () if device is None else (device,)


def having(devices: Mapping[str, Device], parameter: str) -> Mapping[str, tuple[Device, ...]]:
    """The versions of the devices that have a parameter, by device; sought once a registry."""
    if isinstance(devices, Registry):
        return devices.having(parameter)
    return {name: (device,) for name, device in devices.items() if parameter in device.parameters}


def is_secret(parameter: str) -> bool:
    """Whether a parameter holds a key or password by its name, as ``dlms_key`` does."""
    return _SECRET.search(parameter) is not None and "public" not in parameter


def shown_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as reports, exports and the audit may show them: secrets are only said to be."""
    return {name: HIDDEN if is_secret(name) else value for name, value in parameters.items()}


def related(devices: Mapping[str, Device], parameter: str) -> dict[str, tuple[str, ...]]:
    """Which devices name which other one in a parameter such as ``parent`` or ``tank``, as of now.

    A mapping by channel names several.  The keys are the devices named; a feeder's members are
    ``related(devices, "parent")[feeder]``.
    """
    found: dict[str, dict[str, None]] = {}
    for name, device in devices.items():
        for other in named_devices(device, parameter):
            found.setdefault(other, {})[name] = None
    return {name: tuple(members) for name, members in found.items()}


def named_devices(device: Device, parameter: str) -> tuple[str, ...]:
    """The devices that a relation of a device names: one, or one a channel."""
    told = device.parameters.get(parameter)
    values = told.values() if isinstance(told, dict) else (told,)
    return tuple(dict.fromkeys(value for value in values if isinstance(value, str)))
