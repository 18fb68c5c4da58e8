"""Which flags lie in a window of known maintenance.

A flag lies in a window when its device is meant and its whole span is within: a condition that
began before the maintenance, or goes on after it, was not made by it and shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gateway.devices import Registry
    from gateway.flags.records import Suppression
    from gateway.records import Device, Flag


def registered(devices: Registry, flag: Flag) -> Device | None:
    """What was registered of a flag's device when it began; else the first that is known of it."""
    if flag.device_id not in devices:
        return None
    return devices.at(flag.device_id, flag.since) or devices.versions(flag.device_id)[0]


class Windows:
    """Windows to be asked about many flags.

    Args:
        windows: in any order.
    """

    def __init__(self, windows: Iterable[Suppression]) -> None:
        self._by_device: dict[str, list[Suppression]] = {}
        self._by_site: dict[str, list[Suppression]] = {}
        self._others: list[Suppression] = []
        for window in sorted(windows, key=lambda window: window.id):
            if window.end <= window.since:
                continue  # lifted as a whole
            if window.device_id is not None:
                self._by_device.setdefault(window.device_id, []).append(window)
            elif window.site is not None:
                self._by_site.setdefault(window.site, []).append(window)
            else:
                self._others.append(window)

    def __bool__(self) -> bool:
        return bool(self._by_device or self._by_site or self._others)

    def around(self, flag: Flag, device: Device | None) -> Suppression | None:
        """The first window that a flag lies in.

        Args:
            flag: of any device.
            device: what is registered of it; without, only windows of its id or kind can mean it.
        """
        return next((w for w in self._near(flag, device) if _covers(w, flag, device)), None)

    def _near(self, flag: Flag, device: Device | None) -> Iterator[Suppression]:
        yield from self._by_device.get(flag.device_id, ())
        if device is not None and device.site is not None:
            yield from self._by_site.get(device.site, ())
        yield from self._others


def _covers(window: Suppression, flag: Flag, device: Device | None) -> bool:
    return (
        window.since <= flag.since
        and flag.until < window.end
        and (not window.codes or flag.code in window.codes)
        and window.kind in (None, flag.kind)
        and (window.site is None or (device is not None and device.site == window.site))
        and (
            window.region is None
            or (device is not None and (device.region or "").startswith(window.region))
        )
    )
