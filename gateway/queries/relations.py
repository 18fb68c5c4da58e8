"""Who draws from which tank, who is below which master, who stands where: the registry turned.

Devices name what is above them; a page asks what is below.  Turning round a hundred thousand
devices takes a tenth of a second, so it is done once an import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.checks.drawing import nozzles_of, tank_of
from gateway.devices import named_devices

if TYPE_CHECKING:
    from collections.abc import Collection

    from gateway.checks.drawing import Place
    from gateway.devices import Registry


class Relations:
    """What the registry says of devices together.

    Args:
        registry: that is turned round.

    Attributes:
        sites: the devices that stand at each site now.
        drawing: the devices that draw, or drew, from each tank.
        tanks: the tanks that each device gauges.
        members: the devices that each master has, or had, below it.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.sites: dict[str, list[str]] = {}
        self.drawing: dict[Place, list[str]] = {}
        self.tanks: dict[str, list[Place]] = {}
        self.members: dict[str, list[str]] = {}
        for name, device in registry.items():
            if device.site:
                self.sites.setdefault(device.site, []).append(name)
        for name in registry.having("tank_channel"):
            for place in self.drawn_by(name):
                self.drawing.setdefault(place, []).append(name)
        for place in sorted(self.drawing):
            self.tanks.setdefault(place[0], []).append(place)
        for name, versions in registry.having("parent").items():
            masters = (master for each in versions for master in named_devices(each, "parent"))
            for master in dict.fromkeys(masters):
                self.members.setdefault(master, []).append(name)

    def drawn_by(self, device_id: str) -> list[Place]:
        """The tanks that a device draws from, or drew."""
        found: dict[Place, None] = {}
        for version in self.registry.having("tank_channel").get(device_id, ()):
            for nozzle in nozzles_of(version):
                place = tank_of(version, nozzle)
                if place is not None:
                    found[place] = None
        return list(found)

    def tanks_of(self, names: Collection[str]) -> list[Place]:
        """The tanks that some devices gauge or draw from, each once, by gauge and channel."""
        found = {place for name in names for place in self.tanks.get(name, ())}
        found.update(place for name in names for place in self.drawn_by(name))
        return sorted(found)
