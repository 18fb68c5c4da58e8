"""Which verifications are missing, have ended, or soon will."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.devices import Registry
    from gateway.records import Device

State = Literal["missing", "expired", "expiring"]


class Overdue(NamedTuple):
    """A device whose verification somebody has to see to; ``until`` is None where it is missing."""

    device: Device
    state: State
    until: int | None


def overdue(registry: Registry, now: int, soon: int) -> Iterator[Overdue]:
    """The devices, as they are registered now, without a validity that goes on beyond ``soon``.

    Args:
        registry: the devices.
        now: ns UTC; what ended before has expired.
        soon: ns UTC; what ends before is expiring.
    """
    for device_id in registry:
        device = registry.at(device_id, now)
        if device is None:
            continue
        until = device.verified_until
        if until is None:
            yield Overdue(device, "missing", None)
        elif until < now:
            yield Overdue(device, "expired", until)
        elif until < soon:
            yield Overdue(device, "expiring", until)
