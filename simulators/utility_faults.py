"""Cheats and faults of the registers of electricity, water, gas and heat meters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators.clock import DAY, HOUR, local_hour
from simulators.electricity_meter import TARIFF
from simulators.registers import PARTS, Altered, Dials, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulators.faults import Case
    from simulators.instrument import Body, Instrument


class Share(Altered):
    """Registers take only a share of every step.

    Args:
        case: as for every fault.
        dials: what the meter shows.
        least: least share, in thousandths; more than 1000 is more than what went through.
        most: largest share.
        flows: whether the instantaneous values show the same share, as they do when a part of the
            load goes round the meter; else they stay true.
        days: shortest and longest duration; None for good.
    """

    def __init__(
        self,
        case: Case,
        dials: Dials,
        least: int,
        most: int,
        *,
        flows: bool,
        days: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(case, dials)
        self._share = case.rng.randint(least, most)
        self._flows = flows
        self._until = case.begin + case.rng.randint(*days) * DAY if days else None

    def alter(self, body: Body, step: Step) -> Sequence[int] | None:
        """The same share of all registers."""
        if self._until is not None and step.at >= self._until:
            return None
        if self._flows:
            self.scale(body, self._share)
        return [units * (self._share - PARTS) for units in step.units]


class ShareOfMember(Share):
    """The same by a member of a feeder: the master shows it, and the member is to blame."""

    def attach(self, instrument: Instrument) -> None:
        """Asks the member for its master."""
        self.shown_by = instrument.parameters()["parent"]


class Inflow(Altered):
    """A constant flow beside what is drawn: a leak for good, or a burst for some hours.

    Args:
        case: as for every fault.
        dials: of a meter of volume.
        least: least flow, m3/h.
        most: largest flow, m3/h.
        hours: shortest and longest duration; None for good.
    """

    def __init__(
        self,
        case: Case,
        dials: Dials,
        least: float,
        most: float,
        hours: tuple[float, float] | None = None,
    ) -> None:
        super().__init__(case, dials)
        self._rate = case.rng.uniform(least, most)
        self._hours = case.rng.uniform(*hours) if hours else None
        # a burst begins at any hour of the first day
        self._begin = case.begin + (round(case.rng.uniform(0, 18) * HOUR) if hours else 0)

    def alter(self, body: Body, step: Step) -> Sequence[int] | None:
        """More volume, and more at base conditions by the factor that is shown."""
        begin, until = self._begin, None
        if self._hours is not None:
            until = begin + round(self._hours * HOUR)
        since = step.at - round(step.hours * HOUR)
        end = step.at if until is None else min(step.at, until)
        inside = max(0, end - max(since, begin)) / HOUR
        if not inside:
            return None
        if until is None or step.at < until:
            body["flow_rate"] = round(body["flow_rate"] + self._rate, 3)
        litres = round(self._rate * inside * 1000 * PARTS)
        more = [0] * len(step.units)
        more[0] = litres
        if "volume_base" in body:
            base = self.dials.number("volume_base")
            more[base] = round(litres * body["conversion_factor"])
        return more


class Backflow(Altered):
    """Once or twice a day some hours of flow backwards into the main, on the reverse register."""

    lasting = False

    def __init__(self, case: Case, dials: Dials) -> None:
        super().__init__(case, dials)
        self._next = case.begin
        self._until = 0
        self._rate = 0.0
        self._since: int | None = None

    def alter(self, body: Body, step: Step) -> Sequence[int] | None:
        """While it lasts nothing is drawn forwards."""
        rng = self.case.rng
        if step.at >= self._next:
            self._until = step.at + rng.randint(2, 4) * HOUR
            self._next = self._until + rng.randint(8, 30) * HOUR
            self._rate = rng.uniform(0.03, 0.3)
            self._since = step.at
        if step.at >= self._until:
            self.finish(step.at)
            return None
        body["flow_rate"] = -round(self._rate, 3)
        back = self.dials.number("volume_reverse")
        more = [-units * PARTS for units in step.units]
        more[back] = round(self._rate * step.hours * 1000 * PARTS)
        self._last = step.at
        return more

    def finish(self, until: int) -> None:
        """An episode is an event."""
        del until
        if self._since is not None:
            self.case.happened(self._since, self._last)
            self._since = None


class Spike(Altered):
    """The registers jump once by far more than can have gone through, and stay there.

    Args:
        case: as for every fault.
        dials: what the meter shows.
        least: least jump of the main register, display units.
        most: largest one.
    """

    def __init__(self, case: Case, dials: Dials, least: int, most: int) -> None:
        super().__init__(case, dials)
        self._jump = case.rng.randint(least, most)
        self._done = False

    def alter(self, body: Body, step: Step) -> Sequence[int] | None:
        """All registers jump so that they still agree with one another."""
        if self._done:
            return None
        self._done = True
        return jumped(self.dials, body, step.at, self._jump)


def jumped(dials: Dials, body: Body, at: int, jump: int) -> list[int]:
    """A jump of the main register, and of the others so that sums and factors still hold.

    Args:
        dials: what the meter shows.
        body: the message.
        at: when, ms: it decides the tariff register.
        jump: of the main register, display units.
    """
    more = [0] * len(dials.registers)
    more[0] = jump * PARTS
    if "volume_base" in body:
        more[dials.number("volume_base")] = round(jump * PARTS * body["conversion_factor"])
    elif "energy" in body and "T1" in body["energy"]:
        more[dials.number("energy", f"T{TARIFF[local_hour(at - 1)]}")] = jump * PARTS
    return more


class Reversed(Altered):
    """A connection is reversed: what was imported counts as exported, for a share of the time."""

    lasting = False

    def __init__(self, case: Case, dials: Dials) -> None:
        super().__init__(case, dials)
        self._until = self._next = 0
        self._since: int | None = None
        self._last = 0
        self._tariffs = [dials.number("energy", f"T{number}") for number in range(1, 5)]
        self._ahead = 0

    def alter(self, body: Body, step: Step) -> Sequence[int] | None:
        """Hours of it, again and again; import and its tariff stand, export grows."""
        rng = self.case.rng
        if step.at >= self._next:
            self._until = step.at + rng.randint(3, 10) * HOUR
            self._next = self._until + rng.randint(6, 30) * HOUR
            self._since = step.at
        if step.at >= self._until:
            self.finish(step.at)
            return self._made_up(step)
        self._last = step.at
        body["power"]["active"] = -body["power"]["active"]
        export = self.dials.number("energy", "export")
        more = [-units * PARTS for units in step.units]
        self._ahead += more[0] - sum(more[number] for number in self._tariffs)
        more[export] = step.units[0] * PARTS
        return more

    def _made_up(self, step: Step) -> Sequence[int] | None:
        """What a display's rounding left between total and tariffs, which would add up."""
        if not self._ahead:
            return None
        more = [0] * len(step.units)
        behind = max(self._tariffs, key=lambda number: step.units[number])
        more[behind if self._ahead > 0 else 0] = abs(self._ahead)
        self._ahead = 0
        return more

    def finish(self, until: int) -> None:
        """A stretch is an event."""
        del until
        if self._since is not None:
            self.case.happened(self._since, self._last)
            self._since = None


class BaseInflated(Altered):
    """The register at base conditions takes 3 to 9 % more than volume times factor."""

    def __init__(self, case: Case, dials: Dials) -> None:
        super().__init__(case, dials)
        self._more = case.rng.randint(30, 90)

    def alter(self, body: Body, step: Step) -> Sequence[int] | None:
        """Only that register is wrong."""
        del body
        base = self.dials.number("volume_base")
        return [units * self._more if i == base else 0 for i, units in enumerate(step.units)]


class FactorRaised(Altered):
    """The conversion factor is 3 to 9 % above what pressure and temperature give."""

    def __init__(self, case: Case, dials: Dials) -> None:
        super().__init__(case, dials)
        self._more = case.rng.randint(30, 90)

    def alter(self, body: Body, step: Step) -> Sequence[int] | None:
        """The base register follows the factor that is shown."""
        body["conversion_factor"] = round(body["conversion_factor"] * (1 + self._more / PARTS), 5)
        base = self.dials.number("volume_base")
        return [units * self._more if i == base else 0 for i, units in enumerate(step.units)]


class HeatInflated(Altered):
    """Energy and power are 12 to 30 % above what volume and temperatures give."""

    def __init__(self, case: Case, dials: Dials) -> None:
        super().__init__(case, dials)
        self._more = case.rng.randint(120, 300)

    def alter(self, body: Body, step: Step) -> Sequence[int] | None:
        """Only the calculator is wrong; volume and temperatures are true."""
        body["power"] = round(body["power"] * (1 + self._more / PARTS), 3)
        return [step.units[0] * self._more, *([0] * (len(step.units) - 1))]


class PhaseLost(Altered):
    """The lead of one phase's voltage is off, for good: the meter misses that phase's energy."""

    def __init__(self, case: Case, dials: Dials) -> None:
        super().__init__(case, dials)
        self._phase = case.rng.choice(("L1", "L2", "L3"))

    def alter(self, body: Body, step: Step) -> Sequence[int] | None:
        """Amperage flows on; power and energy lose what the phase would have shown."""
        voltage, amperage = body["voltage"], body["amperage"]
        parts = {phase: voltage[phase] * amperage[phase] for phase in voltage}
        whole = sum(parts.values())
        left = PARTS - round(PARTS * parts[self._phase] / whole) if whole else PARTS
        voltage[self._phase] = round(self.case.rng.uniform(0, 12), 1)
        for name in ("active", "reactive", "apparent"):
            body["power"][name] = round(body["power"][name] * left / PARTS, 4)
        return [units * (left - PARTS) for units in step.units]
