"""Tanks that lose fuel which no nozzle sold: a leak, and thieves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from simulators.clock import DAY, HOUR, LOCAL_OFFSET, MINUTE, local_day
from simulators.faults import Case, Fault
from simulators.fuel_faults import SEEN_LITRES, SEEN_SHARE, SEEN_TIME, Stocked

if TYPE_CHECKING:
    from simulators.fuel_tank import Tank
    from simulators.instrument import Instrument


class TankFault(Fault, ABC):
    """The diesel tank loses fuel that no nozzle sold."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._gauge = case.device_id
        self._tank: Tank | None = None

    def attach(self, instrument: Instrument) -> None:
        """Digs for the tank."""
        if not isinstance(instrument, Stocked):
            raise TypeError(f"no tanks: {instrument!r}")
        self._gauge = instrument.gauge
        self._tank = instrument.tanks["0"]
        self._tank.watch(self.case.begin)
        self.harm(self._tank)

    @abstractmethod
    def harm(self, tank: Tank) -> None:
        """Makes the tank lose."""


class TankLeak(TankFault):
    """A hole: 3 to 6 L an hour, for good."""

    def harm(self, tank: Tank) -> None:
        """From the begin on."""
        self._rate = self.case.rng.uniform(3.0, 6.0)
        tank.leak(self.case.begin, self._rate)

    def finish(self, until: int) -> None:
        """One event, required where the balance can show it."""
        begin = self.case.begin
        lost = self._rate * (until - begin) / HOUR
        if until <= begin or self._tank is None:
            return
        least = max(SEEN_LITRES, SEEN_SHARE * self._tank.drawn)
        seen = until - begin >= SEEN_TIME and lost >= least
        if seen:
            self.case.happened(begin, until)
        else:
            self.case.may_show(self._gauge, ("wet_stock_loss",), begin, until)


class TankTheft(TankFault):
    """Every few nights 300 to 800 L are pumped out within 20 minutes."""

    def harm(self, tank: Tank) -> None:
        """All nights of a year are planned at once; what lies behind the run's end never is."""
        rng, begin = self.case.rng, self.case.begin
        self._nights: list[int] = []
        day = local_day(begin) + 1
        while day < local_day(begin) + 366:
            night = day * DAY - LOCAL_OFFSET + rng.randrange(90, 240) * MINUTE
            tank.flow(night, night + 20 * MINUTE, -float(rng.randint(300, 800)))
            self._nights.append(night)
            day += rng.randint(3, 7)

    def finish(self, until: int) -> None:
        """An event a night; a balance from gauge to gauge, or of a day, can show it."""
        for night in self._nights:
            if night + DAY <= until:
                self.case.happened(night, night + 20 * MINUTE)
            elif night <= until:
                self.case.may_show(self._gauge, ("wet_stock_loss",), night, until)
