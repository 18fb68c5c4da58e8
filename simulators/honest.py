"""Honest troubles that look like cheats: nothing of them is in the truth, none may be flagged.

They are made as faults are, so that a run can ask for them by name, and write nothing down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulators.clock import DAY, SECOND, rfc3339
from simulators.faults import Case, Fault, Sent
from simulators.registers import PARTS, Altered, Dials, Step, holder
from simulators.utility_faults import jumped
from simulators.weather import midnight

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from simulators.instrument import Body


class Replaced(Altered):
    """The meter is replaced: another serial number and certificate, registers from another level.

    The registry knows of it, by a version of the device that is valid from then on.
    """

    def __init__(self, case: Case, dials: Dials) -> None:
        super().__init__(case, dials)
        self._when = case.begin + case.rng.randrange(DAY)
        self._level = case.rng.choice((0, 0, case.rng.randrange(50)))
        self._begun = False

    def alter(self, body: Body, step: Step) -> Sequence[int] | None:
        """At the first message after the work every register begins anew at a low level."""
        if self._begun or step.at < self._when:
            return None
        self._begun = True
        main = self.dials.registers[0]
        level = self._level * 10**main.decimals
        fresh = jumped(self.dials, body, step.at, level)
        return [
            more - true * PARTS + units * PARTS
            for more, true, units in zip(fresh, self._before, step.units, strict=True)
        ]

    def registrations(self, line: dict[str, Any]) -> Iterable[dict[str, Any]]:
        """The old meter, and the new one from its work on."""
        when = rfc3339(self._when)
        serial = (int(line["serial_number"]) + 50_000_000) % 10**8
        yield line
        yield line | {
            "serial_number": f"{serial:08d}",
            "certificate": f"{line['certificate']}-R",
            "commissioned_at": when,
            "verified_at": when,
            "verified_until": rfc3339(self._when + 6 * 365 * DAY),
            "valid_from": when,
        }


class Visited(Altered):
    """A verification visit: a test load goes through within one message, a new certificate comes.

    Args:
        case: as for every fault.
        dials: what the meter shows.
        load: the test's flow: kW, or m3/h.
    """

    def __init__(self, case: Case, dials: Dials, load: float) -> None:
        super().__init__(case, dials)
        self._when = case.begin + case.rng.randrange(DAY)
        self._load = load
        self._done = False

    def alter(self, body: Body, step: Step) -> Sequence[int] | None:
        """Ten minutes of load, in the registers and in the instantaneous values alike."""
        if self._done or step.at < self._when:
            return None
        self._done = True
        amount = self._load / 6
        main = self.dials.registers[0]
        if "power" in body and isinstance(body["power"], dict):
            self._loaded(body, amount / step.hours)
        return jumped(self.dials, body, step.at, round(amount * 10**main.decimals))

    @staticmethod
    def _loaded(body: Body, power: float) -> None:
        """Mean power of the interval goes up, at a power factor of one."""
        phase = next(iter(body["voltage"]))
        told = body["power"]
        told["active"] = round(told["active"] + power, 4)
        told["apparent"] = round((told["active"] ** 2 + told["reactive"] ** 2) ** 0.5, 4)
        told["factor"] = round(abs(told["active"]) / told["apparent"], 3)
        more = power * 1000 / body["voltage"][phase]
        body["amperage"][phase] = round(body["amperage"][phase] + more, 3)

    def registrations(self, line: dict[str, Any]) -> Iterable[dict[str, Any]]:
        """The certificate before, and the new one."""
        when = rfc3339(self._when)
        yield line
        yield line | {
            "certificate": f"{line['certificate']}-V",
            "verified_at": when,
            "verified_until": rfc3339(self._when + 2 * 365 * DAY),
            "valid_from": when,
        }


class ClockSet(Fault):
    """The clock wanders by up to 50 s and is set right every few days, forward or back."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._most = case.rng.choice((-1, 1)) * case.rng.randint(35, 50) * SECOND
        self._period = case.rng.randint(2, 9) * DAY

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """A saw-tooth."""
        off = round(self._most * ((at - self.case.begin) % self._period) / self._period)
        for stamp in ("ts", "started_at", "ended_at"):
            if stamp in body:
                body[stamp] += off
        return ((0, body),)


class Jitter(Fault):
    """A display that is read in the moment of its move: now and then one digit below what it was.

    Only where next to nothing went through since the message before.
    """

    def __init__(self, case: Case, dials: Dials) -> None:
        super().__init__(case)
        self._main = dials.registers[0]
        self._last = 0
        self._highest = 0

    def send(self, at: int, body: Body) -> Iterable[Sent]:
        """One digit below the highest that was shown; the other registers stay as they are."""
        if body["type"] != "periodic":
            return ((0, body),)
        name = self._main.place[-1]
        place = holder(body, self._main.place)
        units = round(place[name] * 10**self._main.decimals)
        moved, self._last = units - self._last, units
        quiet = moved in (0, 1) and self._highest and at >= self.case.begin
        if quiet and self.case.rng.random() < 0.2:
            place[name] = (self._highest - 1) / 10**self._main.decimals
        else:
            self._highest = units
        return ((0, body),)


class DailyReset(Fault):
    """Registers begin anew every local midnight, by design: the registry says so."""

    def __init__(self, case: Case, dials: Dials) -> None:
        super().__init__(case)
        self._registers = dials.registers
        self._day = -1
        self._base: list[int] = []
        self._last: list[int] = []

    def send(self, at: int, body: Body) -> Iterable[Sent]:
        """Counts from the last message before midnight."""
        del at
        if body["type"] != "periodic":
            return ((0, body),)
        places = [(holder(body, each.place), each.place[-1]) for each in self._registers]
        units = [
            round(place.get(name, 0) * 10**each.decimals)
            for (place, name), each in zip(places, self._registers, strict=True)
        ]
        day = midnight(body["ts"])
        if day != self._day:
            self._base = self._last if self._day >= 0 else units
            self._day = day
        self._last = units
        for (place, name), each, now, base in zip(
            places, self._registers, units, self._base, strict=True
        ):
            if name in place:
                place[name] = (now - base) % each.full_scale / 10**each.decimals
        return ((0, body),)

    def registrations(self, line: dict[str, Any]) -> Iterable[dict[str, Any]]:
        """The design is in the parameters."""
        return (line | {"parameters": line["parameters"] | {"resets": "daily"}},)
