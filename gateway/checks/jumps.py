"""Steps that are too large: ``register_spike`` and ``burst_suspected``.

A spike is a step that nothing in the pipe or on the line can have made.  The value before stays the
good one until the next reading shows whether the register returned (a glitch: the step after it is
reckoned from the good value, and its return is no fall) or goes on from there.  A burst is a flow
that can be, and that this meter never has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from gateway.checks.findings import finding, one_more, renewed, unit_of
from gateway.checks.lasting import begin, end, go_on
from gateway.checks.metered import BURST_RATINGS
from gateway.checks.parameters import Positive, Settings
from gateway.checks.registered import number_of
from gateway.checks.registers import RETURNED
from gateway.checks.use import Now, Suspect, hours
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.metered import Meter
    from gateway.records import Device, Flag

SPIKE: Final = "register_spike"
BURST: Final = "burst_suspected"
_CLOCK: Final = 1 / 60
"""Hours by which the time between two readings may be wrong: a device's clock is set right."""
GOES_ON: Final = "goes on from the new level"


class SpikeSettings(Settings):
    """When a step is too large.

    ``times`` the usual largest rate (the 99th percentile of this register's own steps) and the
    ``maximum`` (unit of the register an hour; else by the registry's ratings).  Where neither is
    known, ``times_alone`` the usual rate, and more than a household's meter can show.
    """

    times: Annotated[float, Field(ge=1)] = 5.0
    times_alone: Annotated[float, Field(ge=1)] = 20.0
    maximum: Positive | None = None


class BurstSettings(Settings):
    """Above which ``share`` of Q3 (Qmax of gas), for how many ``minutes``; ``times`` the usual."""

    share: Annotated[float, Field(gt=0, le=1.25)] = 0.8
    minutes: Positive = 30.0
    times: Annotated[float, Field(ge=1)] = 2.0


class Jumps:
    """The two checks of one layout."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._spike = meter.bound.settings.of(SPIKE, SpikeSettings)
        self._burst = meter.bound.settings.of(BURST, BurstSettings)
        self._spikes = meter.judges(SPIKE)
        self._bursts = meter.judges(BURST)

    def largest(self, device: Device | None, channel: str | None) -> tuple[float, str, float]:
        """The largest rate, where it is from, and how many times the usual one it takes."""
        if self._spike.maximum is not None:
            return self._spike.maximum, "maximum of the settings", self._spike.times
        rated = self._meter.rated(device, channel)
        if rated is not None:
            return rated.rate, rated.source, self._spike.times
        return self._meter.what.largest, "a household's meter", self._spike.times_alone

    def impossible(self, now: Now) -> Flag | None:
        """The spike that a step above the usual is; None where it can be."""
        use, reading = now.use, now.reading
        if not self._spikes or not use.learned:
            return None
        elapsed = now.hours
        largest, source, times = self.largest(now.device, reading.channel)
        possible = max(times * use.usual * max(elapsed, _CLOCK), largest * (elapsed + _CLOCK))
        possible += 2 * self._meter.step
        if now.step <= possible:
            return None
        register = self._meter.what.register
        return finding(
            reading,
            SPIKE,
            {
                "observed": round(now.step, 9),
                "expected": round(possible, 6),
                "tolerance": 2 * self._meter.step,
                "unit": unit_of(reading, register),
                "formula": "max(times x usual_rate x hours, largest_rate x (hours + 1/60)) "
                "+ tolerance",
                "inputs": {
                    "value": now.value,
                    "previous_value": now.before,
                    "previous_measured_at": rfc3339(now.since),
                    "previous_ledger_offset": now.offset,
                    "hours": round(elapsed, 6),
                    "usual_rate": round(use.usual, 6),
                    "times": times,
                    "largest_rate": largest,
                    "largest_rate_from": source,
                },
                "judged_late": False,
            },
            occasion=f"@{reading.measured_at}",
            quantity=register,
            channel=reading.channel,
            since=now.since,
            until=now.at,
        )

    def suspect(self, now: Now, flag: Flag) -> None:
        """Tells of a spike; its value is no good one, neither here nor for `register_decrease`."""
        use, offset = now.use, now.reading.ledger_offset
        lasting = use.begin(SPIKE)
        again = one_more(lasting.flag, now.at)
        if again is None:
            begin(lasting, flag, now.flags)
        else:
            lasting.flag = again
            now.flags.append(again)
        use.suspect = Suspect(now.value, now.at, offset, True)
        dial = self._meter.dial(now.track)
        if dial is not None:
            state = dial.state
            if state.offset == offset and state.value == now.value:
                state.value, state.at, state.offset = use.value, use.at, use.offset

    def settle(self, now: Now, *, returned: bool) -> None:
        """The reading after a spike shows what it was.

        A fall that was told when the register returned is taken back.
        """
        use, flags = now.use, now.flags
        suspect = use.suspect
        use.suspect = None
        lasting = use.lasting(SPIKE)
        if lasting is not None and lasting.flag is not None:
            outcome = RETURNED if returned else GOES_ON
            lasting.flag = renewed(lasting.flag, {"outcome": outcome}, status="ended")
            flags.append(lasting.flag)
            if not returned:
                use.forget(SPIKE)
        dial = self._meter.dial(now.track)
        if suspect is None or dial is None or not returned:
            return
        state = dial.state
        fall = state.fall
        if fall is None or fall.evidence["previous_ledger_offset"] != suspect.offset:
            return
        told = {"outcome": "the value before was a spike"}
        flags.append(renewed(fall, told, status="withdrawn"))
        state.fall = None
        if state.flag is not None and state.flag.id == fall.id:
            state.flag = None
            state.value, state.at = state.low, state.low_at

    def flows(self, now: Now) -> bool:
        """Whether a step above the usual is a burst, or the beginning of one; tells of it."""
        use, at = now.use, now.at
        if not self._bursts or not use.learned or at <= now.since:
            return False
        limit = self._limit(now.device, now.reading.channel)
        if limit is None:
            return False
        rate = now.step / now.hours
        shown = self._meter.rate and now.reading.values[self._meter.rate]
        lasts = self._burst.minutes / 60
        # Less than an hour of it, within one step: the flow of the moment tells how strong it was.
        part = isinstance(shown, float) and shown > limit and now.step > limit * lasts
        if not (rate > limit or part) or rate <= self._burst.times * use.usual:
            return False
        lasting = use.begin(BURST)
        if lasting.flag is not None:
            worst = max(lasting.flag.evidence["observed"], rate)
            go_on(lasting, at, {"observed": round(worst, 6)}, now.flags)
        else:
            lasting.since = lasting.since or now.since
            if part or hours(at - lasting.since) > lasts:
                self._say(now, rate, limit, lasting.since)
        return True

    def calm(self, now: Now) -> None:
        """A flow that may be ends a burst, and what might have become one."""
        lasting = now.use.lasting(BURST)
        if lasting is not None:
            end(lasting, now.flags)
            now.use.forget(BURST)

    def _limit(self, device: Device | None, channel: str | None) -> float | None:
        if device is None:
            return None
        for name in BURST_RATINGS:
            told = number_of(device.parameters.get(name), channel)
            if told is not None:
                return self._burst.share * told
        return None

    def _say(self, now: Now, rate: float, limit: float, since: int) -> None:
        use = now.use
        flag = finding(
            now.reading,
            BURST,
            {
                "observed": round(rate, 6),
                "expected": round(use.usual, 6),
                "tolerance": round(limit, 6),
                "unit": "m3/h",
                "formula": "observed > max(tolerance, times x expected): "
                "mean flow from register steps, expected is its 99th percentile",
                "inputs": {
                    "register": self._meter.what.register,
                    "previous_value": now.before,
                    "previous_measured_at": rfc3339(now.since),
                    "times": self._burst.times,
                },
                "judged_late": False,
            },
            occasion=f"@{since}",
            channel=now.reading.channel,
            since=since,
            until=now.at,
        )
        begin(use.begin(BURST), flag, now.flags)
