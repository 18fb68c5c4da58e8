"""A fuel station: three dispensers that share three buried tanks, and the gauge that reads these.

Four devices belong together; the last of them is the gauge.  They share one course of events, of
which each gives its own messages: a sale at any dispenser is what the gauge sees leave the tank.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from simulators.fuel_dispenser import Dispenser, forecourt
from simulators.fuel_prices import PRODUCTS
from simulators.fuel_tank import Gauge, Tank
from simulators.instrument import Version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from simulators.instrument import Body, Setting

DISPENSERS: Final = (("92", "95", "92", "95"), ("92", "95", "0", "0"), ("92", "92"))
"""What the nozzles of each dispenser sell."""

SIZE: Final = len(DISPENSERS) + 1
_TANKS: Final = {"92": "1", "95": "2", "0": "3"}


class _Course:
    """What happens at a station, told to each of its devices as it asks."""

    def __init__(self, dispensers: Sequence[Dispenser], gauge: Gauge) -> None:
        self._events = forecourt(dispensers, gauge)
        self._waiting: list[deque[tuple[int, Body]]] = [deque() for _ in range(len(dispensers) + 1)]

    def of(self, number: int) -> Iterator[tuple[int, Body]]:
        """The messages of one device; those of the others wait until they are asked for."""
        mine = self._waiting[number]
        while True:
            while not mine:
                at, whose, body = next(self._events)
                self._waiting[whose].append((at, body))
            yield mine.popleft()


class StationDispenser:
    """One dispenser of a station.

    ``gauge`` is the device that reads the tanks, ``dispenser`` and ``tanks`` are what cheats alter.
    """

    def __init__(
        self, dispenser: Dispenser, tanks: Mapping[str, Tank], gauge: str, messages: Messages
    ) -> None:
        self.dispenser = dispenser
        self.tanks = tanks
        self.gauge = gauge
        self._messages = messages

    def parameters(self) -> Body:
        """What the registry knows of it."""
        return self.dispenser.parameters()

    def versions(self) -> list[Version]:
        """What the registry learns later."""
        return self.dispenser.versions()

    def readings(self) -> Iterator[tuple[int, Body]]:
        """Sales and totalisers."""
        return self._messages


class StationGauge:
    """The gauge of a station; ``tanks`` are by product."""

    def __init__(
        self, gauge: Gauge, tanks: Mapping[str, Tank], device_id: str, messages: Messages
    ) -> None:
        self.tanks = tanks
        self.gauge = device_id
        self._gauge = gauge
        self._messages = messages

    def parameters(self) -> Body:
        """What the registry knows of the tanks."""
        return {"time_zone": "Asia/Shanghai", "tanks": self._gauge.parameters()}

    def readings(self) -> Iterator[tuple[int, Body]]:
        """Tank readings."""
        return self._messages


def station(settings: Sequence[Setting]) -> list[StationDispenser | StationGauge]:
    """The devices of one station.

    Args:
        settings: of the dispensers and, last, of the gauge.
    """
    *of_dispensers, of_gauge = settings
    tanks = {
        product: Tank(_TANKS[product], product, made.density, of_gauge)
        for product, made in PRODUCTS.items()
    }
    gauge = Gauge(tuple(tanks.values()), of_gauge, of_gauge.interval)
    dispensers = []
    for setting, products in zip(of_dispensers, DISPENSERS, strict=True):
        nozzles = {str(number): tanks[product] for number, product in enumerate(products, 1)}
        dispensers.append(Dispenser(setting, nozzles, of_gauge.device_id))
    course = _Course(dispensers, gauge)
    return [
        *(
            StationDispenser(dispenser, tanks, of_gauge.device_id, course.of(number))
            for number, dispenser in enumerate(dispensers)
        ),
        StationGauge(gauge, tanks, of_gauge.device_id, course.of(len(dispensers))),
    ]


if TYPE_CHECKING:
    Messages = Iterator[tuple[int, Body]]
