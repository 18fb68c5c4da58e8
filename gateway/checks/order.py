"""A device's readings in the order in which they were measured, however they arrive.

Most checks of a series (a trip after another, a step after another) need that order.  A device that
numbers its messages and skips none is in order: its readings are judged as they come.  All others
wait for what may still be on its way: a reading is judged when the ledger's clock is ``HOLD`` past
its receipt, and with it all that were measured before it.  So messages that are displaced by at
most ``LATENESS`` are judged as if none were.  A reading that comes later than that is *late*, and
its checks are told so.

The ledger's clock is the latest time of receipt so far; nothing here reads another.  A device keeps
at most ``MOST_HELD`` waiting readings, and all devices together ``MOST_WAITING``: with more of them
the oldest is judged at once.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from heapq import heappop, heappush
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.records import Flag, Reading

    Judged = Callable[[Any, Reading, int, bool, list[Flag]], None]

LATENESS: Final = 600 * 10**9
"""Nanoseconds by which receipt may be displaced without changing what is found."""
HOLD: Final = 2 * LATENESS
"""One of two swapped messages may be early and the other late."""
MOST_HELD: Final = 256
MOST_WAITING: Final = 100_000
"""Of some 650 bytes each."""
NEVER: Final = -(2**63)


class Held(NamedTuple):
    """A reading that waits, in its order: measured time, number, channel; no two are alike.

    Readings of one numbered message stay in the message's own order, as where none waits.
    """

    at: int
    number: int
    channel: str
    arrival: int
    arrived: int
    reading: Reading
    track: Any


_ARRIVAL: Final = attrgetter("arrival")


class Line:
    """The order of one device.

    ``judged`` is the measured time up to which readings have been judged; ``uncertain`` is the time
    of the ledger's clock until which a message that is missing may still come; ``held`` are the
    readings that wait, in their order.  From ``doubt`` to ``doubt_ends``, times of receipt, two
    instruments may answer to one name: their numbers tell no order.
    """

    __slots__ = ("doubt", "doubt_ends", "held", "judged", "uncertain")

    def __init__(self) -> None:
        self.judged = NEVER
        self.uncertain = NEVER
        self.doubt = NEVER
        self.doubt_ends = NEVER
        self.held: list[Held] = []

    def doubted(self, received: int) -> bool:
        """Whether a reading of this time of receipt may be another instrument's."""
        return self.doubt <= received < self.doubt_ends

    def doubts(self, received: int, span: int) -> None:
        """From now on for so long, ns, two may answer to this name; what waits has its turn yet."""
        if received >= self.doubt_ends:
            self.doubt = received
        self.uncertain = max(self.uncertain, received + span)
        self.doubt_ends = max(self.doubt_ends, received + span + HOLD)


class Order:
    """All lines, and the ledger's clock.

    Args:
        judge: called with the track, the reading, its time, whether it is late, and the flags.
    """

    def __init__(self, judge: Judged) -> None:
        self.clock = NEVER
        self.judge = judge
        self._arrivals = 0
        self._count = 0
        self._due: list[tuple[int, int, Line]] = []

    def take(
        self,
        line: Line,
        track: Any,  # noqa: ANN401 - whatever `judge` wants
        reading: Reading,
        at: int,
        flags: list[Flag],
        *,
        number: int,
        follows: bool,
    ) -> None:
        """Judges a reading now, or keeps it until its turn.

        Args:
            line: of its device.
            track: goes to ``judge`` with the reading.
            reading: a new one, no redelivery.
            at: its measured time; the time of receipt where its clock is ahead.
            flags: what is found is added to it.
            number: the unwrapped number, 0 where there is none.
            follows: its number is the one after the number before, so nothing is missing.
        """
        clock = max(self.clock, reading.received_at)
        if follows and clock >= line.uncertain:
            if line.held:
                self._release(line, len(line.held), flags)
            line.judged = max(line.judged, at)
            self.judge(track, reading, at, False, flags)
            return
        if not follows:
            line.uncertain = max(line.uncertain, clock + HOLD)
        if at < line.judged:
            self.judge(track, reading, at, True, flags)
            return
        self._arrivals += 1
        channel = reading.channel or "" if reading.sequence is None else ""
        held = Held(at, number, channel, self._arrivals, clock, reading, track)
        self._count += 1
        waiting = line.held
        if waiting and held < waiting[-1]:
            insort(waiting, held)
        else:
            waiting.append(held)
        if len(waiting) == 1:
            heappush(self._due, (clock + HOLD, self._arrivals, line))
        elif len(waiting) > MOST_HELD:
            self._release(line, 1, flags)
        while self._count > MOST_WAITING:
            _, _, line = heappop(self._due)
            if line.held:
                self._end(line, self._first(line).arrived, flags)

    def advance(self, clock: int, flags: list[Flag]) -> None:
        """Lets the ledger's clock go on: judges what has waited long enough."""
        self.clock = max(self.clock, clock)
        while self._due and self._due[0][0] <= self.clock:
            _, _, line = heappop(self._due)
            self._end(line, self.clock - HOLD, flags)

    @property
    def waiting(self) -> bool:
        """Whether a reading waits for others."""
        return any(line.held for _, _, line in self._due)

    @property
    def arrivals(self) -> int:
        """How many readings have waited so far: what tells two that are due at once apart."""
        return self._arrivals

    def begin(self, clock: int, arrivals: int) -> None:
        """Forgets every line: clock and count are a snapshot's, whose lines `restore` brings."""
        self.clock = clock
        self._arrivals = arrivals
        self._count = 0
        self._due.clear()

    def restore(self, line: Line) -> None:
        """Lets a line of a snapshot wait on."""
        if line.held:
            line.held.sort()
            self._count += len(line.held)
            # A snapshot of before the count was kept in it has none.
            self._arrivals = max(self._arrivals, *(held.arrival for held in line.held))
            self._wait(line)

    def _wait(self, line: Line) -> None:
        first = self._first(line)
        heappush(self._due, (first.arrived + HOLD, first.arrival, line))

    @staticmethod
    def _first(line: Line) -> Held:
        """The one that came first."""
        return min(line.held, key=_ARRIVAL)

    def _end(self, line: Line, arrived: int, flags: list[Flag]) -> None:
        """Ends the waiting of those that came up to a time, and of all that are before them."""
        ended = [held for held in line.held if held.arrived <= arrived]
        if ended:
            self._release(line, bisect_right(line.held, ended[-1]), flags)
        if line.held:
            self._wait(line)

    def _release(self, line: Line, count: int, flags: list[Flag]) -> None:
        """Judges the first of those that wait."""
        ready = line.held[:count]
        del line.held[:count]
        self._count -= count
        for held in ready:
            line.judged = max(line.judged, held.at)
            self.judge(held.track, held.reading, held.at, False, flags)
