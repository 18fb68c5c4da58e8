"""Cheats and faults of taximeters: in the constant, in the pulses, in the clock, in the fare."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from simulators.clock import HOUR, MINUTE
from simulators.faults import Case, Fault, Sent
from simulators.taximeter import Taximeter, Tuning

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulators.instrument import Body, Instrument


class MeterFault(Fault, ABC):
    """A cheat in the meter: it measures otherwise in trips that begin after its begin.

    By itself it is one event, from the first such trip to the end of the last.
    """

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._altered: set[int] = set()

    def attach(self, instrument: Instrument) -> None:
        """Opens the meter."""
        if not isinstance(instrument, Taximeter):
            raise TypeError(f"no taximeter: {instrument!r}")
        instrument.tune = self._tune

    def _tune(self, at: int, tuning: Tuning) -> Tuning:
        if at < self.case.begin:
            return tuning
        altered = self.alter(tuning)
        if altered is not tuning:
            self._altered.add(at)
        return altered

    @abstractmethod
    def alter(self, tuning: Tuning) -> Tuning:
        """How it measures a trip or a ride for one, or the same."""

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """Messages stay as they are; notes the altered trips that are told."""
        del at
        if body["type"] == "trip":
            if body["started_at"] in self._altered:
                self.told(body)
            self._altered.clear()
        return ((0, body),)

    def told(self, body: Body) -> None:
        """An altered trip is told."""
        self.lasts(body["started_at"], body["ended_at"])


class ConstantTold(MeterFault):
    """K is set 5 to 10 % lower, and the meter tells so: distance and fare rise together."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._factor = 1 - case.rng.uniform(0.05, 0.10)

    def alter(self, tuning: Tuning) -> Tuning:
        """Divides by less and says so."""
        constant = round(tuning.k_told * self._factor)
        return tuning._replace(k_used=constant, k_told=constant)


class ConstantSilent(MeterFault):
    """The meter divides by a K that is 5 to 8 % too low, and tells the certified one."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._factor = 1 - case.rng.uniform(0.05, 0.08)

    def alter(self, tuning: Tuning) -> Tuning:
        """Divides by less than it says."""
        return tuning._replace(k_used=tuning.k_used * self._factor)


class EachTrip(MeterFault):
    """A cheat by a hidden switch: one trip in six, each an event."""

    def alter(self, tuning: Tuning) -> Tuning:
        """Draws whether the switch is on."""
        rng = self.case.rng
        size = rng.random()
        return self.switched(tuning, size) if rng.random() < 1 / 6 else tuning

    @abstractmethod
    def switched(self, tuning: Tuning, size: float) -> Tuning:
        """How it measures with the switch on; ``size`` is 0 to 1."""

    def told(self, body: Body) -> None:
        """Writes the trip down."""
        self.case.happened(body["started_at"], body["ended_at"])


class PulsesInjected(EachTrip):
    """One trip in six is given 20 to 45 % more pulses: only the track knows the distance."""

    def switched(self, tuning: Tuning, size: float) -> Tuning:
        """More pulses."""
        return tuning._replace(pulses=1.20 + 0.25 * size)


class WaitingInflated(EachTrip):
    """One trip in six has more waiting in it than it lasted; the fare counts it."""

    def switched(self, tuning: Tuning, size: float) -> Tuning:
        """The waiting clock runs while the taxi drives, and too fast."""
        return tuning._replace(idle=1.1 + 0.5 * size)


class SpeedAbsurd(Fault):
    """One trip in eight tells a top speed of 180 to 240 km/h."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._first = True

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """Alters the top speed alone."""
        del at
        rng = self.case.rng
        if body["type"] == "trip" and (self._first or rng.random() < 1 / 8):
            self._first = False
            body["max_speed"] = float(rng.randint(180, 240))
            self.case.happened(body["started_at"], body["ended_at"])
        return ((0, body),)


class Overlapping(Fault):
    """One trip in four begins, by its own account, before the one before it had ended."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._ended: int | None = None

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """Only where the trips follow each other within the hour."""
        del at
        if body["type"] != "trip":
            return ((0, body),)
        rng, ended = self.case.rng, self._ended
        self._ended = body["ended_at"]
        if ended is not None and body["started_at"] - ended < HOUR and rng.random() < 0.25:
            body["started_at"] = ended - rng.randint(1, 4) * MINUTE
            self.case.happened(body["started_at"], body["ended_at"])
        return ((0, body),)


class FlagfallTwice(Fault):
    """Every other trip is charged the flagfall of 13 CNY twice."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._first = True

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """Raises the shown fare."""
        del at
        if body["type"] == "trip" and (self._first or self.case.rng.random() < 0.5):
            self._first = False
            body["fare"] += 13.0
            self.case.happened(body["started_at"], body["ended_at"])
        return ((0, body),)
