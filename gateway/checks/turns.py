"""What is not a step of a usual size: the first reading, a new day, a fall, a jump, a large step.

Part of the pass in `consumption`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gateway.checks.catalogue import info
from gateway.checks.drops import Drops
from gateway.checks.jumps import Jumps
from gateway.checks.local_days import DAY, HOUR
from gateway.checks.nights import Leaks
from gateway.checks.order import NEVER
from gateway.checks.replacements import replaced_device, reset
from gateway.checks.reversals import Reversals
from gateway.checks.stands import Stands
from gateway.checks.use import CLOCK, FLOW, REMEMBERED_DAYS, Now, Suspect, Use, follow, since_days

if TYPE_CHECKING:
    from gateway.checks.bound import Track
    from gateway.checks.metered import Meter
    from gateway.records import Flag, Reading

_SPREAD: Final = 36 * HOUR
"""A step over a longer silence is not shared out among the days that it reaches over."""
_ROUNDING: Final = 1e-3
"""One step of the last digit may come out a little larger in binary."""
_SHORT: Final = HOUR // 120
"""A rate over less than half a minute says more of the last digit than of the flow."""


class Turns:
    """The turns of one layout."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._flow = meter.bound.layout.kind in info.FLOW
        self.stands = Stands(meter)
        self.jumps = Jumps(meter)
        self.leaks = Leaks(meter)
        self.drops = Drops(meter)
        self.reversals = Reversals(meter)

    def take(
        self, use: Use, track: Track, reading: Reading, at: int, flags: list[Flag]
    ) -> float | None:
        """The step that a reading shows; None where its value is not to be believed yet.

        Args:
            use: the memory.
            track: of the device.
            reading: it has the register.
            at: its time.
            flags: what is found is added to it.
        """
        now = Now(use, track, reading, at, flags)
        value: Any = reading.values[self._meter.register]
        now.value = value
        now.device = self._meter.device(reading)
        if use.at == NEVER:
            self._begin(now)
            return 0.0
        unsure = use.unsettled & CLOCK or reading.measured_at != at
        use.unsettled = CLOCK if reading.measured_at != at else 0
        believed = self._stepped(now)
        if believed and not unsure and now.step > 0.0:
            if now.step * HOUR > use.usual * (at - now.since):
                believed = self._large(now)
            else:
                self.jumps.calm(now)
        elif believed:
            self.jumps.calm(now)
        if not believed:
            now.step, now.since = 0.0, use.at
        if at >= use.day_end:
            self._new_day(now)
        if use.backwards is not None:
            self.reversals.quiet(use, at, flags)
        return now.step if believed else None

    def _begin(self, now: Now) -> None:
        use = now.use
        use.value = now.value
        use.at = use.moved_at = use.window_at = now.at
        use.day_end = self._meter.zone(now.device).day(now.at)[1]

    def _stepped(self, now: Now) -> bool:
        """Finds the step, before it is judged by its size; False for a fall that is none of it."""
        use = now.use
        suspect, use.suspect = use.suspect, None
        jitter = self._meter.jitter * (1 + _ROUNDING)
        if suspect is not None:
            returned = now.value >= use.value - jitter
            goes_on = now.value >= suspect.value - jitter
            if suspect.up:
                use.suspect = suspect
                self.jumps.settle(now, returned=returned and not goes_on)
            if goes_on and (suspect.up or not returned):
                now.before, now.since, now.offset = suspect.value, suspect.at, suspect.offset
                now.step = max(0.0, now.value - suspect.value)
                use.known = False
                use.value = now.value
                return True
        now.step = now.value - use.value
        if self._another_day(now):
            now.step = use.value = now.value
            return True
        if now.step >= -jitter:
            now.step = max(0.0, now.step)
            return True
        return self._lower(now)

    def _another_day(self, now: Now) -> bool:
        """Whether the register began anew at midnight, by design, whatever it shows since."""
        resets = self._meter.resetting(now.device)
        if resets is None or not reset(resets, now.use.at, now.at):
            return False
        return now.step < 0 or resets.day(now.use.at)[0] < resets.day(now.at)[0]

    def _lower(self, now: Now) -> bool:
        """Finds the step of a value that is lower than before; False where it is a fall."""
        use, reading = now.use, now.reading
        if replaced_device(self._meter.bound.devices, reading.device_id, use.at, now.at):
            self._replace(now)
            return True
        if self._flow and "reverse_flow" in reading.status:
            self.reversals.fell(now)
            now.step, use.value = 0.0, now.value
            return True
        dial = self._meter.dial(now.track)
        if dial is not None:
            dial = dial.at(reading.measured_at)
            over = dial.full_scale - use.value + now.value
            if 0 <= over <= dial.span:
                now.step, use.value = over, now.value
                return True
        use.suspect = Suspect(now.value, now.at, reading.ledger_offset, False)
        return False

    def _replace(self, now: Now) -> None:
        """Another meter: what it has not shown is not known."""
        use = now.use
        now.step, use.value = 0.0, now.value
        use.reverse = None
        use.backwards = None
        use.known = False

    def _large(self, now: Now) -> bool:
        """Judges a step above the usual: a spike, another meter, a burst, or now more usual.

        Returns:
            Whether the value is a good one.
        """
        use = now.use
        spike = self.jumps.impossible(now)
        if spike is not None:
            devices, device_id = self._meter.bound.devices, now.reading.device_id
            if not replaced_device(devices, device_id, now.since, now.at):
                self.jumps.suspect(now, spike)
                return False
            self._replace(now)
        elif self.jumps.flows(now):
            use.unsettled |= FLOW
        else:
            self.jumps.calm(now)
            if now.at - now.since >= _SHORT:
                largest, _, _ = self.jumps.largest(now.device, now.reading.channel)
                follow(use, now.step / now.hours, max(largest, use.usual))
        return True

    def _new_day(self, now: Now) -> None:
        """Closes the day, and those that nothing was heard of."""
        use, at = now.use, now.at
        begin, end = self._meter.zone(now.device).day(at)
        closed = use.day_end
        short = at - now.since <= _SPREAD and begin == closed
        share = min(1.0, max(0.0, (closed - now.since) / (at - now.since))) if short else 0.0
        before = now.step * share
        total = use.today + before
        day = (closed - DAY, closed)
        self.drops.close(now, day, total if use.known and short else None)
        if self.leaks.on:
            self.leaks.close(now, day, total)
        for n in range(min(since_days(closed, begin), REMEMBERED_DAYS)):
            self.drops.close(now, (closed + n * DAY, closed + (n + 1) * DAY), None)
        use.day_end = end
        use.moves = 0
        # The pass adds the whole step: what was of the days before is taken off.
        use.today = -before if short else -now.step
        use.known = short
        use.window_at = at
        use.window_today = use.today + now.step
