"""The other direction: ``backflow`` of water and gas, ``reverse_energy`` where nothing generates.

The register of the other direction grows by more than a pressure shock or a motor that brakes
gives, or the main register falls while the meter itself tells of reverse flow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from gateway.checks.findings import finding, unit_of
from gateway.checks.lasting import begin, end, go_on
from gateway.checks.local_days import DAY, HOUR
from gateway.checks.parameters import NotNegative, Settings
from gateway.checks.use import Backwards, Now, Use
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.metered import Meter
    from gateway.records import Flag, Reading

BACKFLOW: Final = "backflow"
REVERSE: Final = "reverse_energy"
_PAUSE: Final = 2 * HOUR
"""What begins again after this is told at once, not at the end of the day."""
_QUIET: Final = DAY
"""Growth that a day has passed after is of another occasion."""


class BackflowSettings(Settings):
    """Cubic metres that may flow back (pressure shocks) before a day without any."""

    tolerance: NotNegative = 0.02


class ReverseEnergySettings(Settings):
    """Kilowatt-hours that may go back before a day without any: lifts and cranes brake."""

    tolerance: Annotated[float, Field(ge=0)] = 0.1


class Reversals:
    """The check of one layout: the one that its kind has."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        electric = meter.bound.layout.kind == "electricity_meter"
        self.code = REVERSE if electric else BACKFLOW
        self.on = meter.judges(self.code)
        settings = meter.bound.settings
        self._tolerance = (
            settings.of(REVERSE, ReverseEnergySettings).tolerance
            if electric
            else settings.of(BACKFLOW, BackflowSettings).tolerance
        )

    def changed(self, use: Use, reading: Reading, value: float, at: int, flags: list[Flag]) -> None:
        """The register of the other direction is another than before."""
        before, use.reverse = use.reverse, value
        if before is None or value < before:
            # First sight, another meter, a new day or a glitch: it grows from here.
            return
        if not self.on:
            return
        if self.code == REVERSE:
            device = self._meter.device(reading)
            if device is None:
                self._meter.bound.not_judged(REVERSE, "not registered: whether it generates")
                return
            if device.parameters.get("generates") is True:
                return
        self._grew(use, reading, value - before, at, flags)

    def fell(self, now: Now) -> None:
        """The main register fell and the meter told of reverse flow."""
        if self.on:
            by = now.use.value - now.value
            self._grew(now.use, now.reading, by, now.at, now.flags, main=True)

    def quiet(self, use: Use, at: int, flags: list[Flag]) -> None:
        """Ends what has not gone on for a day."""
        if use.backwards is not None and at - use.backwards.at > _QUIET:
            use.backwards = None
            lasting = use.lasting(self.code)
            if lasting is not None:
                end(lasting, flags)
                use.forget(self.code)

    def _grew(
        self,
        use: Use,
        reading: Reading,
        by: float,
        at: int,
        flags: list[Flag],
        *,
        main: bool = False,
    ) -> None:
        self.quiet(use, at, flags)
        backwards = use.backwards
        if backwards is None:
            backwards = use.backwards = Backwards(0.0, use.at, at)
        again = at - backwards.at > _PAUSE
        backwards.grown += by
        backwards.at = at
        lasting = use.lasting(self.code)
        if lasting is not None:
            told = len(flags)
            go_on(lasting, at, {"observed": round(backwards.grown, 6)}, flags)
            if again and len(flags) == told and lasting.flag is not None:
                flags.append(lasting.flag)
        elif backwards.grown > self._tolerance:
            what = self._meter.what
            register = what.register if main else what.reverse or what.register
            flag = finding(
                reading,
                self.code,
                {
                    "observed": round(backwards.grown, 6),
                    "expected": 0.0,
                    "tolerance": self._tolerance,
                    "unit": unit_of(reading, register),
                    "formula": "sum of the falls of the register"
                    if main
                    else "sum of the steps of the register",
                    "inputs": {"register": register, "from": rfc3339(backwards.since)},
                    "judged_late": False,
                },
                occasion=f"@{backwards.since}",
                quantity=register,
                channel=reading.channel,
                since=backwards.since,
                until=at,
                severity="major" if main else None,
            )
            begin(use.begin(self.code), flag, flags)
