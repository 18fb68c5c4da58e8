"""Faults of any device: a clock that drifts, silence, backlogs, alarms, a restart that glitches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulators.clock import DAY, HOUR, MINUTE, SECOND
from simulators.faults import Case, Fault, Sent
from simulators.registers import holder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulators.instrument import Body
    from simulators.registers import Dials

_STAMPS: Final = ("ts", "started_at", "ended_at")
_NOTICED: Final = MINUTE
"""A clock within a minute counts as right (validation of series: 60 s minor, 5 min major)."""

_APART: Final = 300
"""Between two messages of a backlog, ms: more than links differ by, so order is kept."""

BITS: Final = {
    "battery_low": 0, "cover_open": 1, "seal_broken": 2, "magnetic_field": 3, "clock_fault": 4,
    "memory_fault": 5, "sensor_fault": 6, "valve_fault": 11, "program_changed": 12,
}  # fmt: skip
"""Bits of ``status`` in the reference format."""


class ClockDrift(Fault):
    """The clock loses one to four minutes a day, until it is 8 to 20 minutes behind for good.

    It is an event once it is a minute behind.
    """

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._rate = case.rng.uniform(60, 240) * SECOND / DAY
        self._most = case.rng.randint(8, 20) * MINUTE

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """Every time in the message is behind."""
        behind = min(self._most, round((at - self.case.begin) * self._rate))
        for stamp in _STAMPS:
            if stamp in body:
                body[stamp] -= behind
        if behind >= _NOTICED:
            self.lasts(body["ts"], at)
        return ((0, body),)


class Silent(Fault):
    """The device falls silent for good, at some time of the first day."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._from = case.begin + case.rng.randrange(DAY)
        self._last: int | None = None

    def send(self, at: int, body: Body) -> Iterable[Sent]:
        """Nothing any more."""
        if at >= self._from:
            return ()
        self._last = body["ts"]
        return ((0, body),)

    def finish(self, until: int) -> None:
        """One event from the last message on; none in a run that ends before."""
        if self._last is not None and until > self._from:
            self.case.happened(self._last, until)


class Backlog(Fault):
    """The link is away for half a day to four days; then all that was kept comes at once.

    It comes an hour before the end of a run that would end before.
    """

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        rng = case.rng
        self._from = case.begin + rng.randrange(DAY)
        self._until = self._from + rng.randint(12, 96) * HOUR
        if case.until is not None and case.until - HOUR > self._from:
            self._until = min(self._until, case.until - HOUR)
        self._kept = 0
        self._since: int | None = None

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """Delayed to the end of the outage, in order."""
        if self._from <= at < self._until:
            self._since = self._since or body["ts"]
            self._kept += 1
            return ((self._until - at + self._kept * _APART, body),)
        if self._since is not None and at >= self._until:
            self.finish(at)
        return ((0, body),)

    def finish(self, until: int) -> None:
        """One event, once the backlog has come."""
        if self._since is not None and until >= self._until:
            self.case.happened(self._since, self._until)
            self._since = None


class Alarmed(Fault):
    """The device itself reports a state, by an alarm message and by a status bit while it lasts.

    Args:
        case: as for every fault.
        words: what it may report: one of them is drawn.
        hours: shortest and longest duration; None for good.
    """

    def __init__(
        self, case: Case, words: tuple[str, ...], hours: tuple[int, int] | None = None
    ) -> None:
        super().__init__(case)
        rng = case.rng
        self._word = rng.choice(words)
        self._until = case.begin + rng.randint(*hours) * HOUR if hours else None
        self._over = False

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """The alarm comes right after the message that first shows the state."""
        if self._span and self._until is not None and at >= self._until:
            self.finish(at)
            self._over = True
        if self._over or body["type"] == "tank":
            return ((0, body),)
        first = self._span is None
        self.lasts(body["ts"], body["ts"])
        body["status"] = body.get("status", 0) | 1 << BITS[self._word]
        if self._word == "battery_low" and "battery_voltage" in body:
            body["battery_voltage"] = round(body["battery_voltage"] * 0.82, 2)
        if not first:
            return ((0, body),)
        alarm = {"type": "alarm", "seq": None, "ts": body["ts"], "alarms": [self._word]}
        return ((0, body), (0, alarm))


class Glitch(Fault):
    """A restart: one message shows registers at zero or as they were half a day ago.

    The next message is right again: one glitch asks for one flag.

    Args:
        case: as for every fault.
        dials: what the meter shows.
    """

    def __init__(self, case: Case, dials: Dials) -> None:
        super().__init__(case)
        self._registers = dials.registers
        self._zero = case.rng.random() < 0.5
        self._at = case.begin + case.rng.randrange(DAY)
        self._old: list[float] = []
        self._before: list[float] = []
        self._old_at = 0
        self._done = False

    def send(self, at: int, body: Body) -> Iterable[Sent]:
        """Waits until what it shows is really lower, by more than the last digit."""
        if body["type"] != "periodic" or self._done:
            return ((0, body),)
        places = [(holder(body, each.place), each.place[-1]) for each in self._registers]
        true = [place.get(name, 0.0) for place, name in places]
        shown = [0.0] * len(true) if self._zero else self._old
        if at >= self._at and shown and self._falls(self._before, shown):
            for (place, name), value in zip(places, shown, strict=True):
                if name in place:
                    place[name] = value
            self._done = True
            self.case.happened(body["ts"], body["ts"])
        if not self._old or (body["ts"] >= self._old_at + 12 * HOUR and at < self._at):
            self._old, self._old_at = true, body["ts"]
        self._before = true
        return ((0, body),)

    def _falls(self, before: list[float], shown: list[float]) -> bool:
        """Whether no register would rise over the message before, and the main one fall."""
        lower: list[float] = [
            (now - then) * 10**register.decimals
            for now, then, register in zip(before, shown, self._registers, strict=True)
        ]
        return min(lower) >= 0 and lower[0] > 3
