"""How messages reach the gateway: numbered, a little late, sometimes twice or out of order.

All of this is honest: none of it may raise a flag.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from simulators.clock import DAY, HOUR, MINUTE
from simulators.protocols.packet import Packet, reference_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulators.faults import Fault
    from simulators.instrument import Body, Instrument, Setting
    from simulators.protocols.packet import Encode

SEQUENCES: Final = 2**32
"""Sequence numbers run from 0 to 4294967295 and begin again."""

LONGEST_PENDING: Final = 5_000
"""Messages that a device keeps while its link is away; then the link is back."""

_NEVER: Final = 2**62
_LONGEST_LATENCY: Final = 300


class Message(NamedTuple):
    """A message as it arrives; tuples of a fleet order by time, then by device.

    ``received_at`` is in milliseconds; ``payload`` is JSON unless the device speaks another
    protocol.
    """

    received_at: int
    device: int
    topic: str
    payload: bytes


class Troubles(msgspec.Struct, frozen=True):
    """How often honest networks and devices stumble.

    ``duplicate`` and ``late`` are shares of messages; ``restarts`` and ``outages`` are counts a
    device and day.  A late message comes 5 s to 15 min after its time, behind younger ones.  An
    outage keeps messages on the device for 10 min to 3 h.  A restart skips periodic messages for
    1 to 10 min and then sends the last message again; numbers and registers go on.
    """

    duplicate: float = 0.005
    late: float = 0.005
    restarts: float = 0.1
    outages: float = 0.05


NO_TROUBLES: Final = Troubles(0.0, 0.0, 0.0, 0.0)


class Line:
    """One instrument's way to the gateway.

    Args:
        setting: of the instrument.
        region: six digits, part of the topic.
        kind: part of the topic.
        instrument: what makes the readings.
        fault: what spoils them, or None.
        troubles: of the way.
        encode: puts a reading into the packets of the device's protocol; by default one packet of
            reference JSON.
    """

    def __init__(
        self,
        setting: Setting,
        region: str,
        kind: str,
        instrument: Instrument,
        *,
        fault: Fault | None,
        troubles: Troubles,
        encode: Encode | None = None,
    ) -> None:
        self._encode = encode or reference_json(region, kind, setting.device_id)
        self._instrument = instrument
        self._fault = fault
        self._troubles = troubles
        self._rng = setting.random("line")
        # one device in 50 is about to begin its numbers again
        near = self._rng.random() < 0.02
        self._sequence = SEQUENCES - 20 if near else self._rng.randrange(100_000)
        self._pending: list[tuple[int, int, Packet]] = []
        self._held = 0
        self._arrived = 0
        self._last: Packet | None = None
        self._silent_until = 0
        self._away_until = 0
        self._restart = self._next(setting.start, troubles.restarts)
        self._outage = self._next(setting.start, troubles.outages)

    def messages(self, order: int, until: int | None) -> Iterator[Message]:
        """Messages measured before ``until`` in the order of arrival.

        Args:
            order: number of this line within its fleet.
            until: end of the run in milliseconds, or None for one without end.
        """
        pending = self._pending
        for at, body in self._instrument.readings():
            if until is not None and at >= until:
                break
            # nothing that is still to come can arrive before its own time
            while pending and pending[0][0] <= at:
                yield Message(pending[0][0], order, *heappop(pending)[2])
            if at >= self._restart or at >= self._outage:
                self._disturb(at)
            if at < self._silent_until and body["type"] == "periodic":
                continue
            for delay, packet in self._packets(at, body):
                arrival = self._arrival(at, delay, packet)
                if pending and pending[0][0] < arrival:
                    self._hold(arrival, packet)
                elif arrival:
                    yield Message(arrival, order, *packet)
        # the run's end brings every link back: a run towards a broker would else wait for hours
        latest = _NEVER if until is None else until + _LONGEST_LATENCY
        while pending:
            yield Message(min(pending[0][0], latest), order, *heappop(pending)[2])

    def _packets(self, at: int, body: Body) -> Iterator[tuple[int, Packet]]:
        """Numbers a reading, lets the fault have it; gives what is sent, with its delay."""
        body["seq"] = self._sequence
        self._sequence = (self._sequence + 1) % SEQUENCES
        for delay, sent in ((0, body),) if self._fault is None else self._fault.send(at, body):
            if sent["seq"] is None:
                sent["seq"] = self._sequence
                self._sequence = (self._sequence + 1) % SEQUENCES
            for packet in self._encode(sent):
                if not delay:
                    # what goes out later cannot be sent again before
                    self._last = packet
                yield delay, packet

    def _arrival(self, at: int, delay: int, packet: Packet) -> int:
        """When a message arrives; 0 when it is held back (and then is already among the held)."""
        rng, troubles = self._rng, self._troubles
        latency = 30 + int(rng.random() * (_LONGEST_LATENCY - 30))
        if at < self._away_until:
            # what was to come later than the link is back comes in its own time
            back = max(self._away_until, at + delay)
            self._hold(back + latency + self._held % 1000 * 20, packet)
            if len(self._pending) >= LONGEST_PENDING:
                self._away_until = at
            return 0
        draw = rng.random()
        if draw < troubles.duplicate:
            self._hold(at + latency + delay + rng.randint(500, MINUTE), packet)
        elif draw < troubles.duplicate + troubles.late:
            delay += rng.randint(5_000, 15 * MINUTE)
        if delay:
            self._hold(at + latency + delay, packet)
            return 0
        # one connection keeps its order
        self._arrived = max(self._arrived, at + latency)
        return self._arrived

    def _hold(self, arrival: int, packet: Packet) -> None:
        self._held += 1
        heappush(self._pending, (arrival, self._held, packet))

    def _next(self, at: int, per_day: float) -> int:
        return at + int(self._rng.expovariate(per_day / DAY)) if per_day else _NEVER

    def _disturb(self, at: int) -> None:
        """A restart or an outage begins now."""
        rng, troubles = self._rng, self._troubles
        if at >= self._restart:
            self._silent_until = at + rng.randint(1, 10) * MINUTE
            self._restart = self._next(self._silent_until, troubles.restarts)
            if self._last is not None:
                self._hold(self._silent_until, self._last)
        if at >= self._outage:
            self._away_until = at + rng.randint(10 * MINUTE, 3 * HOUR)
            self._outage = self._next(self._away_until, troubles.outages)
