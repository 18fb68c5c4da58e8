"""How a delivery went: ``flow_rate_out_of_range`` and ``below_minimum_quantity`` (JJG 443-2023).

Outside the rated flow and below the minimum measured quantity the maximum permissible error does
not hold.  Litres that came faster than the pump can deliver were not delivered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from pydantic import Field

from gateway.checks.episodes import Episode, right, wrong
from gateway.checks.findings import finding, occasion_of
from gateway.checks.parameters import NotNegative, Positive, Settings
from gateway.checks.registered import VISIT, Registered, number_of, numbers
from gateway.checks.series import Series, SeriesCheck
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.records import Device, Flag, Reading

_MINUTE: Final = 60 * 10**9
_SPAN: Final = ("volume", "started_at", "ended_at")

_Rated = tuple[float, "float | None"]


class FlowSettings(Settings):
    """Rated flow where the registry has none, and what is not yet outside.

    Attributes:
        q_max: L/min; JJG 443-2023 covers dispensers up to 200 L/min.
        q_min: L/min; None: no lower limit where the registry has none.
        margin: share of a limit by which a flow may pass it.
        clock_step: s; beginning and end of a sale are shown to this step.
        low_in_row: deliveries in a row that must be too slow: a hand on the trigger is honest.
        settle_after: right sales in a row that end the condition.
    """

    q_max: Positive = 200.0
    q_min: Positive | None = None
    margin: NotNegative = 0.1
    clock_step: NotNegative = 1.0
    low_in_row: Annotated[int, Field(ge=1)] = 3
    settle_after: Annotated[int, Field(ge=1)] = 10


class MinimumSettings(Settings):
    """``mmq`` in L where the registry has none; sales of enough in a row that end a condition."""

    mmq: NotNegative = 5.0
    settle_after: Annotated[int, Field(ge=1)] = 10


class Flows(msgspec.Struct, array_like=True):
    """Deliveries in a row that were too slow, and what goes on."""

    low: int = 0
    episode: Episode = msgspec.field(default_factory=Episode)


def _flow(bound: Bound) -> SeriesCheck | None:
    names = set(bound.layout.names)
    if bound.layout.event != "transaction":
        return None
    return _Flow(bound).check() if "flow_rate" in names or names >= {*_SPAN} else None


class _Flow:
    """The flow of the sales of one layout."""

    def __init__(self, bound: Bound) -> None:
        names = bound.layout.names
        self.settings = bound.settings.of("flow_rate_out_of_range", FlowSettings)
        self.names = names
        self.at_flow = names.index("flow_rate") if "flow_rate" in names else None
        self.places = [names.index(name) for name in _SPAN] if {*_SPAN} <= set(names) else None
        self.clock_step = self.settings.clock_step / 60
        self.usual = self.settings.q_max, self.settings.q_min
        self.limits = Registered(bound.devices, self.read, VISIT)

    def read(self, device: Device, channel: str | None) -> _Rated:
        """The rated flow of a version of a device; the settings where it tells none."""
        high, low = (number_of(device.parameters.get(q), channel) for q in ("q_max", "q_min"))
        return high or self.usual[0], low or self.usual[1]

    def widest(self, told: tuple[_Rated, ...]) -> _Rated:
        """What counts where several or no versions do."""
        lows = [low for _, low in told or (self.usual,)]
        low = None if None in lows else min(low for low in lows if low is not None)
        return max((high for high, _ in told), default=self.usual[0]), low

    def mean(self, values: tuple[Any, ...]) -> float:
        """L/min by volume and duration, which may have been a step of the clock longer; or 0."""
        if self.places is None:
            return 0.0
        a, b, c = self.places
        volume, started, ended = values[a], values[b], values[c]
        if not volume or started is None or ended is None or ended < started:
            return 0.0
        minutes = (ended - started) / _MINUTE + self.clock_step
        return float(volume / minutes) if minutes else 0.0

    def check(self) -> SeriesCheck:
        """The check."""
        at_flow, margin = self.at_flow, self.settings.margin
        known, widest, mean_of = self.limits, self.widest, self.mean
        passed = 1 + margin

        def run(
            memory: Flows, _track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]
        ) -> None:
            values: tuple[Any, ...] = reading.values
            flow = (0.0 if at_flow is None else values[at_flow]) or 0.0
            mean = mean_of(values)
            told = known.of(reading.device_id, at, reading.channel)
            high, low = limits = told[0] if len(told) == 1 else widest(told)
            # Pauses make the mean slow, so only what the instrument shows itself is too slow.
            slow = low is not None and 0 < flow < low * (1 - margin)
            if slow and not late:
                memory.low += 1
            elif memory.low and not late:
                memory.low = 0
            fast = flow > high * passed or mean > high * passed
            if fast or (slow and memory.low >= self.settings.low_in_row):
                found = self.flag(reading, flow, max(flow, mean) if fast else flow, limits, late)
                wrong(memory.episode, reading, found, flags, late=late)
            elif not slow and not late and memory.episode.now is not None:
                right(memory.episode, reading, self.settings.settle_after, flags)

        return SeriesCheck("flow_rate_out_of_range", Flows, True, run)

    def flag(
        self, reading: Reading, flow: float, observed: float, limits: _Rated, late: bool
    ) -> Flag:
        """The finding; ``observed`` is ``flow``, or the mean."""
        high, low = limits
        passed = high if low is None or observed > high else low
        inputs = {
            name: rfc3339(value) if name.endswith("_at") and isinstance(value, int) else value
            for name, value in zip(self.names, reading.values, strict=True)
            if name in {"flow_rate", *_SPAN} and value is not None
        }
        return finding(
            reading,
            "flow_rate_out_of_range",
            {
                "observed": round(observed, 3),
                "expected": {"q_min": low, "q_max": high},
                "tolerance": round(self.settings.margin * passed, 6),
                "unit": "L/min",
                "difference": round(observed - passed, 3),
                "formula": "q_min <= flow_rate <= q_max"
                if observed == flow
                else "volume / (ended_at - started_at + clock_step) <= q_max",
                "inputs": {**inputs, "clock_step": self.settings.clock_step},
                "judged_late": late,
            },
            occasion=occasion_of(reading),
            quantity="flow_rate",
            channel=reading.channel,
        )


def _minimum(bound: Bound) -> SeriesCheck | None:
    names = bound.layout.names
    if bound.layout.event != "transaction" or "volume" not in names:
        return None
    settings = bound.settings.of("below_minimum_quantity", MinimumSettings)
    at_volume = names.index("volume")
    limits = numbers(bound.devices, "mmq", VISIT)

    def run(
        memory: Episode, _track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]
    ) -> None:
        volume: Any = reading.values[at_volume]
        if volume is None:
            return
        told = limits.of(reading.device_id, at, reading.channel)
        mmq = told[0] if len(told) == 1 else min(told, default=settings.mmq)
        if volume <= 0 or volume >= mmq:
            if memory.now is not None and not late:
                right(memory, reading, settings.settle_after, flags)
            return
        found = finding(
            reading,
            "below_minimum_quantity",
            {
                "observed": volume,
                "expected": mmq,
                "tolerance": 0,
                "unit": "L",
                "difference": round(volume - mmq, 6),
                "formula": "volume >= mmq",
                "inputs": {"volume": volume, "mmq": mmq},
                "judged_late": late,
            },
            occasion=occasion_of(reading),
            quantity="volume",
            channel=reading.channel,
        )
        wrong(memory, reading, found, flags, late=late)

    return SeriesCheck("below_minimum_quantity", Episode, True, run)


FLOW_RATE: Final = Series("flow_rate_out_of_range", FlowSettings, _flow)
BELOW_MINIMUM: Final = Series("below_minimum_quantity", MinimumSettings, _minimum)
