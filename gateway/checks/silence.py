"""Silence by the ledger's clock: ``silent_device``, and ``burst_after_silence`` when it is over."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import msgspec

from gateway.checks import clock_drift
from gateway.checks.findings import finding, renewed
from gateway.checks.order import HOLD, LATENESS, NEVER
from gateway.checks.rhythm import DAY, HOUR, SECOND, Watch
from gateway.checks.series import recalled
from gateway.records import Reading
from gateway.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.checks.bound import Track
    from gateway.checks.rhythm import Rhythm
    from gateway.checks.state import State
    from gateway.records import Flag

_FLEET: Final = "silent_device fleet"
_LOOK_AGAIN: Final = LATENESS
"""How often one looks whether a common silence is over."""
_LONGEST: Final = 2**62


class Fleet(msgspec.Struct, array_like=True):
    """Whether most devices are silent together, since when one knows, and until when they were."""

    down: bool = False
    looked: int = NEVER
    up: int = NEVER


class Silence:
    """Who is due to be looked at, by the ledger's clock.

    Args:
        state: what the checks remember.
    """

    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state
        self._due: list[tuple[int, str]] = []

    def hear(self, track: Track, reading: Reading, flags: list[Flag]) -> None:
        """Takes a reading whose pause or delay is remarkable."""
        rhythm, received = track.rhythm, reading.received_at
        gap = received - rhythm.heard
        if rhythm.heard == NEVER:
            self._begin(rhythm, reading)
        elif gap > rhythm.pause:
            self._pause(rhythm, reading, gap)
        rhythm.heard = max(rhythm.heard, received)
        if rhythm.watch is not None:
            self._backlog(rhythm.watch, reading)
        elif rhythm.drift is not None or received - reading.measured_at > rhythm.pace.limit:
            clock_drift.sample(track, reading, flags)

    def advance(self, clock: int, flags: list[Flag]) -> None:
        """Looks at the devices that are due."""
        due = self._due
        while due and due[0][0] <= clock:
            at, device_id = heappop(due)
            rhythm = self._state().rhythms.get(device_id)
            if rhythm is None or rhythm.queued != at:
                continue
            self._look(device_id, rhythm, clock, flags)
            rhythm.queued = NEVER
            self._queue(device_id, rhythm, max(self._next(rhythm), clock + SECOND))

    @property
    def waiting(self) -> bool:
        """Whether a backlog is being counted."""
        return any(rhythm.watch is not None for rhythm in self._state().rhythms.values())

    def restore(self) -> None:
        """Takes the due times of a memory that was restored."""
        self._due = [
            (rhythm.queued, device_id)
            for device_id, rhythm in self._state().rhythms.items()
            if rhythm.queued != NEVER
        ]
        heapify(self._due)

    # --- what is heard

    def _begin(self, rhythm: Rhythm, reading: Reading) -> None:
        received = reading.received_at
        rhythm.rolled = received
        # Devices begin their days at different times, so that no moment has work for all.
        stagger = crc32(reading.device_id.encode()) * DAY >> 32
        rhythm.roll = (received - stagger) // DAY * DAY + stagger + DAY
        rhythm.heard = received
        rhythm.attend()
        self._queue(reading.device_id, rhythm, self._next(rhythm))

    def _pause(self, rhythm: Rhythm, reading: Reading, gap: int) -> None:
        known = bool(rhythm.days)
        if rhythm.watch is None and (
            rhythm.silent is not None or (known and gap >= rhythm.back_after())
        ):
            received = reading.received_at
            rhythm.watch = Watch(rhythm.heard, received, received + HOLD)
            self._queue(reading.device_id, rhythm, rhythm.watch.until)
        rhythm.longest = max(rhythm.longest, min(gap, rhythm.allowance()))
        rhythm.attend()

    @staticmethod
    def _backlog(watch: Watch, reading: Reading) -> None:
        """Counts a message of the silence; its end waits for the next as long as for the first."""
        received, measured = reading.received_at, reading.measured_at
        if watch.since < received < watch.returned:
            watch.returned = received
        if not watch.since - LATENESS <= measured < watch.returned - LATENESS:
            return
        if measured == watch.latest:
            return  # another channel of the message
        watch.latest = measured
        watch.count += 1
        watch.first = measured if watch.count == 1 else min(watch.first, measured)
        watch.last = max(watch.last, measured)
        watch.offset = max(watch.offset, reading.ledger_offset)
        watch.until = max(watch.until, received + HOLD)

    # --- what the clock tells

    def _look(self, device_id: str, rhythm: Rhythm, clock: int, flags: list[Flag]) -> None:
        if rhythm.watch is not None and clock >= rhythm.watch.until:
            self._close(device_id, rhythm, rhythm.watch, flags)
        if clock >= rhythm.roll:
            self._roll(rhythm, clock, flags)
        if rhythm.pace.least and rhythm.silent is None and clock >= self._silent_at(rhythm):
            self._silent(device_id, rhythm, clock, flags)

    def _close(self, device_id: str, rhythm: Rhythm, watch: Watch, flags: list[Flag]) -> None:
        """The device is back, and what was kept of its silence has come."""
        silent = rhythm.silent
        if silent is not None:
            lasted = {"observed": (watch.returned - watch.since) // SECOND}
            flags.append(renewed(silent, lasted, until=watch.returned, status="ended"))
            rhythm.silent = None
        if rhythm.pace.silence and watch.count >= rhythm.pace.messages:
            flags.append(_burst(device_id, rhythm, watch))
        rhythm.watch = None
        rhythm.attend()

    def _roll(self, rhythm: Rhythm, clock: int, flags: list[Flag]) -> None:
        """A day is over: its longest pause is remembered, and a silence that stands grows."""
        fleet = self._fleet()
        if rhythm.silent is not None:
            rhythm.silent = renewed(rhythm.silent, {}, until=rhythm.roll)
            flags.append(rhythm.silent)
        elif rhythm.longest and not fleet.down and fleet.up < rhythm.rolled:
            # A pause counts when it is over: one that goes on may be the silence that is sought.
            rhythm.learn(rhythm.longest)
        rhythm.longest = 0
        rhythm.rolled = clock
        rhythm.roll += (clock - rhythm.roll) // DAY * DAY + DAY
        rhythm.attend()

    def _silent(self, device_id: str, rhythm: Rhythm, clock: int, flags: list[Flag]) -> None:
        if self._all_silent(rhythm, clock):
            return
        if clock < self._silent_at(rhythm):
            return  # the fleet has come back just now
        allowance = rhythm.allowance()
        offsets = [
            window.newest
            for channel in self._state().device(device_id).channels.values()
            for window in channel.windows.values()
        ]
        rhythm.silent = finding(
            _last(device_id, rhythm, max(offsets, default=-1)),
            "silent_device",
            {
                "observed": allowance // SECOND,
                "expected": rhythm.usual() // SECOND,
                "tolerance": (allowance - rhythm.usual()) // SECOND,
                "unit": "s",
                "last_received_at": rfc3339(rhythm.heard),
                "days": rhythm.known_days,
            },
            occasion=f"@{rhythm.heard}",
            channel=None,
            since=rhythm.heard,
            until=self._silent_at(rhythm),
        )
        flags.append(rhythm.silent)
        rhythm.attend()

    def _all_silent(self, rhythm: Rhythm, clock: int) -> bool:
        """Whether most devices that should have been heard since then were not either."""
        fleet = self._fleet()
        if clock - fleet.looked < _LOOK_AGAIN and fleet.down:
            return True
        pause = clock - rhythm.heard
        known = quiet = 0
        for other in self._state().rhythms.values():
            if other.silent is not None or other.heard == NEVER:
                continue
            usual = other.usual()
            patience = max(HOUR, usual + usual // 2)
            if patience <= pause:
                known += 1
                quiet += clock - other.heard > patience
        down = known >= rhythm.pace.fleet and quiet > rhythm.pace.share * known
        if fleet.down and not down:
            fleet.up = clock
        fleet.down, fleet.looked = down, clock
        return down

    def _fleet(self) -> Fleet:
        return recalled(self._state().groups, _FLEET, Fleet)

    # --- when to look

    def _silent_at(self, rhythm: Rhythm) -> int:
        """From when on a device is silent; one of two swapped messages may come so much later."""
        return max(rhythm.heard, self._fleet().up) + rhythm.allowance() + LATENESS

    def _next(self, rhythm: Rhythm) -> int:
        fleet = self._fleet()
        silent = _LONGEST
        if rhythm.pace.least and rhythm.silent is None:
            silent = self._silent_at(rhythm)
            if fleet.down:
                silent = max(silent, fleet.looked + _LOOK_AGAIN)
        watched = rhythm.watch.until if rhythm.watch is not None else _LONGEST
        return min(rhythm.roll, silent, watched)

    def _queue(self, device_id: str, rhythm: Rhythm, due: int) -> None:
        """Has the device looked at then, unless it is sooner."""
        if rhythm.queued == NEVER or due < rhythm.queued:
            rhythm.queued = due
            heappush(self._due, (due, device_id))


def _last(device_id: str, rhythm: Rhythm, offset: int) -> Reading:
    """The device as it was heard last, for the form of a flag."""
    heard = rhythm.heard
    return Reading(
        device_id, rhythm.kind, "periodic", None, heard, heard, None, "raw", (), None,
        rhythm.profile, offset, (), (),
    )  # fmt: skip


def _burst(device_id: str, rhythm: Rhythm, watch: Watch) -> Flag:
    evidence: dict[str, Any] = {
        "observed": watch.count,
        "expected": 0,
        "tolerance": rhythm.pace.messages - 1,
        "unit": "1",
        "silence": (watch.returned - watch.since) // SECOND,
        "silent_from": rfc3339(watch.since),
        "silent_to": rfc3339(watch.returned),
        "count": watch.count,
    }
    return finding(
        _last(device_id, rhythm, watch.offset),
        "burst_after_silence",
        evidence,
        occasion=f"@{watch.since}",
        channel=None,
        since=watch.first,
        until=watch.last,
        status="ended",
    )
