"""Which tank a nozzle draws from, by the registry; and test sales that are poured back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.devices import versions_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.records import Device

_TEST: Final = 3 * 3_600 * 10**9
"""Before a verification: test sales are poured back."""
_MEASURES: Final = (5.0, 10.0, 20.0, 50.0, 100.0)
"""Litres that test measures hold (JJG 443), filled to 1 %."""

Place = tuple[str, str]
"""A tank: the device that gauges it, and its channel there."""


class Relation(NamedTuple):
    """What a device draws from: tanks by nozzle, all of them, and when it was verified."""

    by_nozzle: dict[str, Place]
    tanks: tuple[Place, ...]
    verified: list[int]


def relation_of(device: Device, devices: Mapping[str, Device]) -> Relation:
    """What a version of a device draws from.

    Args:
        device: the version.
        devices: the registry, for the visits of its other versions.
    """
    by_nozzle = {nozzle: tank_of(device, nozzle) for nozzle in nozzles_of(device)}
    drawn = {nozzle: tank for nozzle, tank in by_nozzle.items() if tank is not None}
    verified = [version.verified_at for version in versions_of(devices, device.device_id)]
    return Relation(
        drawn, tuple(sorted(set(drawn.values()))), [at for at in verified if at is not None]
    )


def poured_back(relation: Relation, ended: int, volume: float) -> bool:
    """Whether a sale is a test of a verification."""
    return any(0 <= verified - ended <= _TEST for verified in relation.verified) and any(
        abs(volume - full) <= full / 100 for full in _MEASURES
    )


def nozzles_of(device: Device) -> list[str]:
    """The nozzles of which the registry knows the tank."""
    told = device.parameters.get("tank_channel")
    return list(told) if isinstance(told, dict) else []


def tank_of(device: Device, nozzle: str) -> Place | None:
    """Gauge and channel of a nozzle's tank; the dispenser's own gauge where none is told."""
    channels, gauges = device.parameters.get("tank_channel"), device.parameters.get("tank")
    channel = channels.get(nozzle) if isinstance(channels, dict) else None
    gauge = gauges.get(nozzle) if isinstance(gauges, dict) else gauges
    if channel is None:
        return None
    return str(gauge) if isinstance(gauge, str) else device.device_id, str(channel)
