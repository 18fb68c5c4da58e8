"""``leak_suspected``: a flow that never stops.

A house draws no water for some hour of every night, and burns no gas for some hour of every day (a
boiler does burn at night).  Where the least hourly flow of each of the last nights is above
nothing, much the same each time, and no small part of all that is consumed, something runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import Field, model_validator

from gateway.checks.findings import finding
from gateway.checks.lasting import begin, end, go_on
from gateway.checks.local_days import DAY, HOUR
from gateway.checks.parameters import Positive, Settings
from gateway.checks.use import Nights, Now, Use, hours
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.metered import Meter

LEAK: Final = "leak_suspected"
_ENOUGH: Final = 0.75
"""Part of the hours of a night that must have been seen."""
_CONSTANT: Final = 3.0
"""How far the least flows of the nights of one leak may be apart, as a ratio."""

_MORE: Final = 2
"""Nights in a row far above the first ones that begin another leak; one alone is a use."""


class LeakSettings(Settings):
    """When a flow that never stops is a leak.

    ``nights`` in a row with a least hourly flow above ``least_flow`` (m3/h), which is ``share`` of
    the mean flow of the day at least and ``largest_flow`` at most; from local hour ``night_from``
    to ``night_until``.
    """

    nights: Annotated[int, Field(ge=2, le=30)] = 5
    least_flow: Positive = 0.003
    largest_flow: Positive | None = None
    share: Annotated[float, Field(ge=0, lt=1)] | None = None
    night_from: Annotated[int, Field(ge=0, le=23)] | None = None
    night_until: Annotated[int, Field(ge=1, le=24)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if (self.night_from or 0) >= (self.night_until or 24):
            raise ValueError("`night_from` must be before `night_until`, in one local day")
        return self


_HOURS: Final = {"water_meter": (0, 6), "gas_meter": (0, 24)}
_SHARE: Final = {"water_meter": 0.1}
"""Gas has no night flow of many homes, and a boiler's use may be large beside a leak."""
_LARGEST: Final = {"gas_meter": 0.25}
"""m3/h: more than that is a boiler that never rests."""


class Leaks:
    """The check of one layout."""

    def __init__(self, meter: Meter) -> None:
        kind = meter.bound.layout.kind
        self._meter = meter
        self.on = meter.judges(LEAK) and kind in _HOURS
        self._settings = meter.bound.settings.of(LEAK, LeakSettings)
        begin_hour, end_hour = _HOURS.get(kind, (0, 24))
        if self._settings.night_from is not None:
            begin_hour = self._settings.night_from
        if self._settings.night_until is not None:
            end_hour = self._settings.night_until
        self._from, self._until = begin_hour * HOUR, end_hour * HOUR
        self._windows = int(_ENOUGH * (end_hour - begin_hour))
        share = self._settings.share
        self._share = _SHARE.get(kind, 0.0) if share is None else share
        self._largest = self._settings.largest_flow or _LARGEST.get(kind)

    def hour(self, use: Use, at: int) -> None:
        """An hour or more has passed since the window began: its flow, if it was of the night."""
        day = use.day_end - DAY
        spent = at - use.window_at
        if use.window_at >= day + self._from and at <= day + self._until and spent < 3 * HOUR:
            rate = (use.today - use.window_today) / (spent / HOUR)
            if not use.windows or rate < use.low:
                use.low = rate
            # A window of two hours counts for both.
            use.windows += round(spent / HOUR)
        use.window_at = at
        use.window_today = use.today

    def close(self, now: Now, day: tuple[int, int], total: float) -> None:
        """A local day is over.

        Args:
            now: the first reading after it.
            day: its midnights.
            total: what was consumed in it, as far as is known.
        """
        use, flags = now.use, now.flags
        low, windows = use.low, use.windows
        use.low, use.windows = 0.0, 0
        if windows < self._windows:
            return
        settings, largest = self._settings, self._largest
        lasting = use.lasting(LEAK)
        if low <= settings.least_flow or low < self._share * total / hours(day[1] - day[0]):
            use.nights = None
            if lasting is not None:
                end(lasting, flags)
                use.forget(LEAK)
            return
        nights = use.nights
        if nights is None or low * _CONSTANT < nights.largest:
            nights = use.nights = Nights(0, low, low, day[0])
        elif low > nights.least * _CONSTANT:
            nights.above += 1
            if nights.above < _MORE or lasting is not None:
                return
            nights = use.nights = Nights(0, low, low, day[0])
        nights.above = 0
        nights.count += 1
        nights.least = min(nights.least, low)
        nights.largest = max(nights.largest, low)
        if lasting is not None:
            go_on(lasting, day[1], {"observed": round(nights.least, 6)}, flags)
        elif nights.count >= settings.nights and (largest is None or nights.least <= largest):
            self._say(now, nights, day[1])

    def _say(self, now: Now, nights: Nights, until: int) -> None:
        flag = finding(
            now.reading,
            LEAK,
            {
                "observed": round(nights.least, 6),
                "expected": 0.0,
                "tolerance": self._settings.least_flow,
                "unit": "m3/h",
                "formula": "least hourly flow (register step / hours) of each night",
                "inputs": {
                    "register": self._meter.what.register,
                    "nights": nights.count,
                    "first_night": rfc3339(nights.since),
                    "largest_of_the_nights": round(nights.largest, 6),
                    "hours": f"{self._from // HOUR} to {self._until // HOUR}",
                    "m3_a_day": round(nights.least * 24, 4),
                },
                "judged_late": False,
            },
            occasion=f"@{nights.since}",
            channel=now.reading.channel,
            since=nights.since,
            until=until,
        )
        begin(now.use.begin(LEAK), flag, now.flags)
