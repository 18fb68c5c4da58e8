"""Cheats and faults: what spoils an honest reading, and the truth about when it did.

A fault stands between an instrument and its line.  It sees every message once, numbered, and gives
back what is sent instead: the same, another, none, or two.  What it does, it also writes down as
an ``Event``: the code a good check should raise, and the span in which it has to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from simulators.clock import DAY, SECOND, rfc3339
from simulators.instrument import shown, units_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from random import Random

    from simulators.instrument import Body, Instrument


class Event(msgspec.Struct, frozen=True):
    """One thing that was wrong, as true times in milliseconds.

    ``clock_ahead`` is how far the device's own time stamps are ahead of the truth meanwhile.
    ``required`` False: a flag is right there, as physics follows from the same fault, and none is
    no miss.  ``suspect`` is the device that is to blame where another one shows it.
    """

    device_id: str
    code: str
    cheat: str
    since: int
    until: int
    clock_ahead: int = 0
    required: bool = True
    suspect: str | None = None

    def line(self) -> dict[str, Any]:
        """The line of the truth file."""
        line: dict[str, Any] = {
            "device_id": self.device_id,
            "code": self.code,
            "from": rfc3339(self.since),
            "to": rfc3339(self.until),
            "cheat": self.cheat,
        }
        if self.clock_ahead:
            line["clock_ahead_s"] = self.clock_ahead // SECOND
        if not self.required:
            line["required"] = False
        if self.suspect is not None:
            line["suspect"] = self.suspect
        return line


class Case(msgspec.Struct, frozen=True):
    """What a fault is told: whom it hits, when it begins, and where it reports.

    ``lag`` is how far the run's clock is behind the wall clock (0 for captures): a clock that is
    to look ahead at the receiver must be ahead of that.  ``code`` None is an honest trouble that
    only looks like a cheat: nothing of it is written down.  ``also`` are codes that may be flagged
    rightly in the same spans.  ``twin`` makes another instrument of the same kind.  ``until`` is
    the end of the run, where it has one.
    """

    device_id: str
    cheat: str
    code: str | None
    begin: int
    lag: int
    rng: Random
    record: Callable[[Event], None]
    also: tuple[str, ...] = ()
    twin: Callable[[], Instrument] | None = None
    until: int | None = None

    def may_show(self, device_id: str, codes: Iterable[str], since: int, until: int) -> None:
        """Writes down that these codes may be flagged rightly of a device in a span."""
        for code in codes:
            self.record(Event(device_id, code, self.cheat, since, until, required=False))

    def happened(
        self, since: int, until: int, clock_ahead: int = 0, shown_by: str | None = None
    ) -> None:
        """Writes an event down.

        Args:
            since: begin, ms.
            until: end, ms.
            clock_ahead: how far the device's stamps are ahead meanwhile, ms.
            shown_by: the device that shows it, where this one is only to blame; what may be
                flagged besides shows at this one.
        """
        if self.code is None:
            return
        shows, suspect = self.device_id, None
        if shown_by is not None and shown_by != self.device_id:
            shows, suspect = shown_by, self.device_id
        span = (self.cheat, since, until, clock_ahead)
        self.record(Event(shows, self.code, *span, suspect=suspect))
        for code in self.also:
            self.record(Event(self.device_id, code, *span, required=False))


Sent = tuple[int, "Body"]
"""How many milliseconds later than its time a message is sent, and the message; one whose ``seq``
is None is of the fault's own making and is given the next number."""


class Fault:
    """Base of all faults; by itself it changes nothing.

    ``registered`` is False for a device that the registry must not know.
    """

    registered: ClassVar[bool] = True

    def __init__(self, case: Case) -> None:
        self.case = case
        self._span: tuple[int, int] | None = None

    def lasts(self, since: int, until: int) -> None:
        """What is wrong since then, or before already, goes on until then: it is one event."""
        self._span = (min(since, self._span[0]) if self._span else since, until)

    def attach(self, instrument: Instrument) -> None:
        """Is given the instrument that it spoils, to alter what that does from the begin on."""

    def send(self, at: int, body: Body) -> Iterable[Sent]:
        """What is sent in place of ``body``, which may be changed in place."""
        if at < self.case.begin:
            return ((0, body),)
        return self.spoil(at, body)

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """As ``send``, from the fault's begin on."""
        del at
        return ((0, body),)

    def registrations(self, line: dict[str, Any]) -> Iterable[dict[str, Any]]:
        """The device's lines of the registry: one, or one a version."""
        return (line,)

    def register(self, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The same where the instrument itself has versions; ``lines`` are those, by time."""
        return [*self.registrations(lines[0]), *lines[1:]]

    def finish(self, until: int) -> None:
        """What lasts is over, or the run ends at ``until``: writes it down."""
        del until
        if self._span:
            self.case.happened(*self._span)
            self._span = None


def began(body: Body) -> int:
    """When what the message tells of began."""
    return int(body["started_at"] if "started_at" in body else body["ts"])


class Hidden(Fault):
    """Messages are withheld, now and then one to three in a row; their numbers are missing.

    Args:
        case: as for every fault.
        events: the message types that are withheld.
        chance: of each such message to begin a hole.
    """

    def __init__(self, case: Case, events: tuple[str, ...], chance: float) -> None:
        super().__init__(case)
        self._events = events
        self._chance = chance
        self._left = 0
        self._since: int | None = None
        self._first = True

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """Withholds; a hole is an event once a later message shows it."""
        del at
        rng = self.case.rng
        if body["type"] in self._events:
            if not self._left and (self._first or rng.random() < self._chance):
                self._left, self._first = rng.randint(1, 3), False
            if self._left:
                self._left -= 1
                if self._since is None:
                    self._since = began(body)
                return ()
        if self._since is not None:
            self.shown(self._since, body["ts"])
            self._since = None
        return ((0, body),)

    def shown(self, since: int, until: int) -> None:
        """A later message shows the hole."""
        self.case.happened(since, until)


class SetBack(Fault):
    """Registers are set back once, by a tenth to a quarter of the smallest of them.

    It waits for a register that has enough to lose: the fall must not hide in what was used since
    the last message.

    Args:
        case: as for every fault.
        fields: the registers, dotted, each with the display units at which it returns to zero;
            all fall by the same number of display units.
        decimals: of the registers.
        channel: the field that names the channel, when only the first channel met is hit.
    """

    def __init__(
        self,
        case: Case,
        fields: dict[str, int],
        decimals: int,
        channel: str | None = None,
    ) -> None:
        super().__init__(case)
        self._fields = [tuple(field.split(".")) for field in fields]
        self._decimals = decimals
        self._full_scales = list(fields.values())
        self._channel = channel
        self._hit: str | None = None
        self._back = 0
        self._before = 0
        self._last: list[int] = []

    def send(self, at: int, body: Body) -> Iterable[Sent]:
        """Remembers the last honest reading; from ``begin`` on the registers are lower."""
        if not all(path[0] in body for path in self._fields):
            return ((0, body),)
        if self._channel is not None:
            self._hit = self._hit or body[self._channel]
            if body[self._channel] != self._hit:
                return ((0, body),)
        places = [self._place(body, path) for path in self._fields]
        units = [units_of(holder[name], self._decimals) for holder, name in places]
        if not self._back and self._last and at >= self.case.begin:
            self._set_back(units, body["ts"])
        self._last, self._before = units, body["ts"]
        if self._back:
            for (holder, name), honest, full in zip(places, units, self._full_scales, strict=True):
                holder[name] = shown(honest - self._back, self._decimals, full)
        return ((0, body),)

    def _set_back(self, units: list[int], at: int) -> None:
        back = min(units) * self.case.rng.randint(10, 25) // 100
        used = max(now - before for now, before in zip(units, self._last, strict=True))
        if back > 3 * abs(used) + 10:
            self._back = back
            self.case.happened(self._before, at)

    @staticmethod
    def _place(body: Body, path: tuple[str, ...]) -> tuple[Body, str]:
        for name in path[:-1]:
            body = body[name]
        return body, path[-1]


class ClockAhead(Fault):
    """The device's date is one to three days ahead from its begin on, for good.

    The hour of day stays right, so that tariffs by the hour still agree with the stamps.
    """

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        behind = -(-case.lag // DAY)
        self._ahead = (behind + case.rng.randint(1, 3)) * DAY

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """Every time in the message is ahead."""
        for field in ("ts", "started_at", "ended_at"):
            if field in body:
                body[field] += self._ahead
        self.lasts(at, at)
        return ((0, body),)

    def finish(self, until: int) -> None:
        """One event, from the first wrong stamp to the last moment that a stamp names."""
        del until
        if self._span:
            since, last = self._span
            self.case.happened(since, last + self._ahead, self._ahead)


class Absurd(Fault):
    """Now and then a sensor fails for one to three messages and shows what cannot be.

    Args:
        case: as for every fault.
        field: the quantity that fails, dotted.
        number: what it shows then.
    """

    def __init__(self, case: Case, field: str, number: float) -> None:
        super().__init__(case)
        self._path = tuple(field.split("."))
        self._number = number
        self._left = 0
        self._first = True

    def spoil(self, at: int, body: Body) -> Iterable[Sent]:
        """An episode is one event."""
        del at
        rng = self.case.rng
        holder = body
        for name in self._path[:-1]:
            holder = holder.get(name, {})
        if self._path[-1] not in holder:
            return ((0, body),)
        if not self._left and (self._first or rng.random() < 0.04):
            self._left, self._first = rng.randint(1, 3), False
        if self._left:
            self._left -= 1
            holder[self._path[-1]] = self._number
            self.lasts(body["ts"], body["ts"])
        if not self._left:
            self.finish(body["ts"])
        return ((0, body),)


class Unregistered(Fault):
    """A device that nobody registered begins to send."""

    registered: ClassVar[bool] = False

    def send(self, at: int, body: Body) -> Iterable[Sent]:
        """Silent before its begin; honest in all but its identity."""
        if at < self.case.begin:
            return ()
        self.lasts(at, at)
        return ((0, body),)
