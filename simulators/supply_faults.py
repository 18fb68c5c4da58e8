"""Faults of the supply as a meter sees it: voltage and frequency outside their limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators.clock import HOUR
from simulators.faults import Case, Fault, Sent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulators.instrument import Body


class Episodes(Fault):
    """Some hours of it, then some quiet hours, again and again; each stretch is an event.

    None begins that the end of the run would cut off: it might be too short to be seen.

    Args:
        case: as for every fault.
        hours: shortest and longest stretch.
        quiet: shortest and longest pause.
    """

    def __init__(self, case: Case, hours: tuple[int, int], quiet: tuple[int, int]) -> None:
        super().__init__(case)
        self._hours = hours
        self._quiet = quiet
        self._next = self._until = 0

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """Alters the periodic messages of a stretch."""
        del at
        if body["type"] != "periodic":
            return ((0, body),)
        ts, rng = body["ts"], self.case.rng
        if ts >= self._next:
            self._next = ts + rng.randint(*self._hours) * HOUR
            if self.case.until is None or self._next < self.case.until:
                self.start()
                self._until = self._next
            self._next += rng.randint(*self._quiet) * HOUR
        if ts < self._until:
            self.alter(body)
            self.lasts(ts, ts)
        else:
            self.finish(ts)
        return ((0, body),)

    def start(self) -> None:
        """A stretch begins."""

    def alter(self, body: Body) -> None:
        """Changes a message of a stretch."""


class VoltageOff(Episodes):
    """All phases are far below 198 V or above 235.4 V (GB/T 12325-2008) for some hours.

    Power and energy stay what they are: amperage follows.
    """

    def __init__(self, case: Case) -> None:
        super().__init__(case, (4, 12), (6, 40))
        self._shift = 0.0

    def start(self) -> None:
        """Low about twice as often as high."""
        rng = self.case.rng
        self._shift = rng.uniform(20, 30) if rng.random() < 0.35 else -rng.uniform(32, 60)

    def alter(self, body: Body) -> None:
        """Shifts each phase."""
        for phase, volts in body["voltage"].items():
            shifted = round(volts + self._shift, 1)
            body["voltage"][phase] = shifted
            body["amperage"][phase] = round(body["amperage"][phase] * volts / shifted, 3)


class FrequencyOff(Episodes):
    """The frequency is 0.3 to 0.7 Hz away from 50 Hz (GB/T 15945-2008: 0.2 Hz) for some hours."""

    def __init__(self, case: Case) -> None:
        super().__init__(case, (4, 8), (10, 60))
        self._shift = 0.0

    def start(self) -> None:
        """Up or down."""
        rng = self.case.rng
        self._shift = rng.choice((-1, 1)) * rng.uniform(0.34, 0.7)

    def alter(self, body: Body) -> None:
        """Shifts it; what it wavers by stays."""
        body["frequency"] = round(body["frequency"] + self._shift, 2)
