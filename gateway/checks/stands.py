"""A register that stands: ``register_stuck`` and ``zero_consumption``.

Where the meter also shows how fast it is consumed (flow, power), a register that stands while that
is not zero is stuck, and known to be after a few readings.  Without that an empty house looks
alike: `zero_consumption` tells of it first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from gateway.checks.findings import finding, unit_of
from gateway.checks.lasting import begin, end, go_on
from gateway.checks.local_days import DAY, HOUR
from gateway.checks.parameters import Positive, Settings
from gateway.checks.use import DAY_BYTES, Standing, Use, hours
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.metered import Meter
    from gateway.records import Flag, Reading

STUCK: Final = "register_stuck"
ZERO: Final = "zero_consumption"
_MOST_HOURS: Final = 2.0
"""A rate is believed for this long: it is that of a moment."""
_WATCHED: Final = 7
"""Midnights after which the longest pause counts as known."""


class StuckSettings(Settings):
    """When a register that stands is stuck.

    ``least_rate``: a flow or power (unit of the register an hour) below which it need not count;
    ``readings`` above that, and ``steps`` of its last digit that they would have made; ``days``
    that it stands where neither flow nor power is sent.
    """

    least_rate: Positive | None = None
    readings: Annotated[int, Field(ge=2)] = 3
    steps: Positive = 20.0
    days: Positive = 60.0


class ZeroSettings(Settings):
    """How long nothing is consumed: ``hours`` at least, and ``pauses`` times the longest usual."""

    hours: Annotated[float, Field(ge=24)] = 24.0
    pauses: Positive = 3.0


class Stands:
    """The two checks of one layout."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        settings = meter.bound.settings
        stuck = settings.of(STUCK, StuckSettings)
        zero = settings.of(ZERO, ZeroSettings)
        self.least = meter.what.least if stuck.least_rate is None else stuck.least_rate
        self._readings = stuck.readings
        self._amount = stuck.steps * meter.step
        self._days = round(stuck.days * DAY)
        self._hours = round(zero.hours * HOUR)
        self._pauses = zero.pauses
        self._stuck = meter.judges(STUCK)
        self._zero = meter.judges(ZERO)

    def flowed(self, use: Use, reading: Reading, rate: float, at: int, flags: list[Flag]) -> None:
        """The register stands in a reading that shows a flow or power."""
        if not self._stuck:
            return
        standing = use.standing
        if standing is None:
            standing = use.standing = Standing()
        standing.times += 1
        standing.amount += rate * min(hours(at - use.at), _MOST_HOURS)
        lasting = use.lasting(STUCK)
        if lasting is not None:
            go_on(lasting, at, {"expected": use.value + standing.amount}, flags)
        elif standing.times >= self._readings and standing.amount > self._amount:
            evidence = {
                "formula": "expected = observed + sum of rate x hours since it moved",
                "inputs": {
                    "moved_at": rfc3339(use.moved_at),
                    "readings": standing.times,
                    "rate": rate,
                    "least_rate": self.least,
                },
                "judged_late": False,
            }
            self._say(use, reading, at, use.value + standing.amount, evidence, flags)

    def stood(self, use: Use, reading: Reading, at: int, flags: list[Flag], *, shown: bool) -> None:
        """The register stands for longer than a day; ``shown``: flow or power is, and is none."""
        stands = at - use.moved_at
        usual = use.pause * HOUR
        zero = use.lasting(ZERO)
        if zero is not None:
            go_on(zero, at, {"observed": round(hours(stands), 3)}, flags)
        elif self._zero and len(use.days) >= DAY_BYTES * _WATCHED:
            allowed = max(self._hours, round(self._pauses * usual))
            if stands > allowed:
                flag = finding(
                    reading,
                    ZERO,
                    {
                        "observed": round(hours(stands), 3),
                        "expected": hours(usual),
                        "tolerance": hours(allowed - usual),
                        "unit": "h",
                        "formula": "stands longer than max(hours, pauses x longest usual pause)",
                        "inputs": {
                            "register": self._meter.what.register,
                            "value": use.value,
                            "moved_at": rfc3339(use.moved_at),
                        },
                        "judged_late": False,
                    },
                    occasion=f"@{use.moved_at}",
                    channel=reading.channel,
                    since=use.moved_at,
                    until=at,
                )
                begin(use.begin(ZERO), flag, flags)
        if shown or not self._stuck:
            return
        stuck = use.lasting(STUCK)
        if stuck is not None:
            go_on(stuck, at, {}, flags)
        else:
            allowed = max(self._days, round(self._pauses * usual))
            if stands > allowed:
                evidence = {
                    "formula": "stands longer than max(days, 3 x longest usual pause), "
                    "and the meter shows neither flow nor power",
                    "inputs": {
                        "moved_at": rfc3339(use.moved_at),
                        "stands_h": round(hours(stands), 3),
                        "allowed_h": round(hours(allowed), 3),
                    },
                    "judged_late": False,
                }
                self._say(use, reading, at, use.value + self._meter.step, evidence, flags)

    def moved(self, use: Use, at: int, flags: list[Flag]) -> None:
        """The register moved after a pause of an hour or more, or while something lasted."""
        use.standing = None
        for code in (STUCK, ZERO):
            lasting = use.lasting(code)
            if lasting is not None:
                end(lasting, flags)
                use.forget(code)
                if code == ZERO:
                    # A pause that was told of is not a usual one.
                    return
        # A whole number of hours up to 256 takes no memory of its own.
        use.pause = max(use.pause, -(-(at - use.moved_at) // HOUR))

    def _say(  # noqa: PLR0917 - as run is called
        self,
        use: Use,
        reading: Reading,
        at: int,
        expected: float,
        more: dict[str, object],
        flags: list[Flag],
    ) -> None:
        register = self._meter.what.register
        flag = finding(
            reading,
            STUCK,
            {
                "observed": use.value,
                "expected": round(expected, 6),
                "tolerance": round(self._amount, 9),
                "unit": unit_of(reading, register),
                **more,
            },
            occasion=f"@{use.moved_at}",
            quantity=register,
            channel=reading.channel,
            since=use.moved_at,
            until=at,
        )
        begin(use.begin(STUCK), flag, flags)
