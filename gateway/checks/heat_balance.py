"""Heat against volume and temperature difference: ``heat_balance_mismatch`` (EN 1434-1, JJG 225).

E = ∫ k Δθ dV.  The heat coefficient k is the density of the water where it is metered times its
enthalpy difference over Δθ; both come from the table of saturated water below (IAPWS-IF97; at
16 bar k is 0.1 % more).  Judged over windows, of steps whose Δθ is at least Δθmin; where their mean
is less than twice Δθmin, by the error in service, which is twice the one at verification.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from pydantic import Field

from gateway.checks.balances import (
    Balance,
    begin_window,
    judge_window,
    known_at,
    version_of,
)
from gateway.checks.findings import finding
from gateway.checks.parameters import NotNegative, Positive, Settings
from gateway.checks.registered import number_of
from gateway.checks.series import Series, SeriesCheck
from gateway.checks.steps import Faces

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.records import Flag, Reading

CODE: Final = "heat_balance_mismatch"
_SECOND: Final = 10**9
_HOUR: Final = 3600.0
_FAR: Final = 3.0
_DENSITY: Final = (
    999.8, 999.7, 998.2, 995.6, 992.2, 988.0, 983.2, 977.8, 971.8, 965.3,
    958.4, 951.0, 943.1, 934.8, 926.1, 917.0, 907.4, 897.5, 887.0,
)  # fmt: skip
"""kg/m3 of saturated water at 0, 10, ... 180 Cel."""
_ENTHALPY: Final = (
    0.0, 42.0, 83.9, 125.7, 167.5, 209.3, 251.2, 293.1, 335.0, 377.0,
    419.2, 461.4, 503.8, 546.4, 589.2, 632.3, 675.5, 719.1, 763.1,
)  # fmt: skip
"""kJ/kg of saturated water at 0, 10, ... 180 Cel."""
_MPE: Final = {1: (2.0, 0.01), 2: (3.0, 0.02), 3: (4.0, 0.05)}
"""By class: % of the complete meter at large Δθ and flow, and the factor of qp/q."""
_LARGEST_FLOW_PART: Final = 5.0


class HeatSettings(Settings):
    """Class and Δθmin (K) of the meter; ``sampling`` is what readings between steps may hide.

    ``nominal_flow`` is qp in m3/h.  The registry's ``accuracy_class``, ``dt_min``, ``qp``
    and ``flow_sensor`` (``flow`` or ``return``: the pipe of the sensor) count before them.
    """

    accuracy_class: Literal[1, 2, 3] = 2
    delta_theta_min: Positive = 3.0
    nominal_flow: Positive = 1.5
    flow_sensor: Literal["flow", "return"] | None = None
    sampling: NotNegative = 0.02
    window: Positive = 86_400.0
    windows: Annotated[int, Field(ge=1, le=1000)] = 2


class Heat(msgspec.Struct, array_like=True):
    """The window, and the temperatures of the last reading (NaN is never kept: -300 is none)."""

    balance: Balance = msgspec.field(default_factory=Balance)
    flow: float = -300.0
    back: float = -300.0
    hours: float = 0.0
    apart: bool = True


def density(temperature: float) -> float:
    """kg/m3 of water at a temperature in Cel, 0 to 180."""
    return _between(_DENSITY, temperature)


def heat_coefficient(flow: float, back: float, at: float) -> float:
    """kWh/(m3 K) of water that cools from ``flow`` to ``back``, metered at ``at`` (Cel)."""
    enthalpy = _between(_ENTHALPY, flow) - _between(_ENTHALPY, back)
    return density(at) * enthalpy / (flow - back) / _HOUR


def _between(table: tuple[float, ...], temperature: float) -> float:
    place = min(max(temperature, 0.0), 180.0) / 10
    low = min(int(place), len(table) - 2)
    return table[low] + (table[low + 1] - table[low]) * (place - low)


def permissible_error(
    accuracy_class: int, delta_theta: float, delta_theta_min: float, flow: float, nominal: float
) -> float:
    """The maximum permissible error of a complete meter as a share (EN 1434-1, JJG 225).

    Args:
        accuracy_class: 1, 2 or 3.
        delta_theta: K, the difference of temperatures.
        delta_theta_min: K, the smallest one of the meter.
        flow: m3/h.
        nominal: m3/h, the permanent flow rate qp.
    """
    whole, factor = _MPE[accuracy_class]
    # `whole` is 0.5 % of the calculator, 0.5 % of the sensors, and the flow part at qp.
    at_nominal = whole - 1.0
    part = factor * nominal / flow if flow > 0 else _LARGEST_FLOW_PART
    flow_part = min(at_nominal + part, _LARGEST_FLOW_PART)
    return (1.0 + flow_part + 4 * delta_theta_min / delta_theta) / 100


def _make(bound: Bound) -> SeriesCheck | None:
    names = set(bound.layout.names)
    if not {"energy", "volume"} <= names:
        return None
    if not {"flow_temperature", "return_temperature"} <= names:
        return None
    return SeriesCheck(CODE, Heat, True, _Balance(bound).run)


class _Meter(msgspec.Struct, frozen=True):
    """What is true of one meter: its class, K, m3/h, and the pipe of its sensor."""

    accuracy_class: int
    delta_theta_min: float
    nominal_flow: float
    flow_sensor: str | None
    version: int


class _Balance:
    """The check of one layout."""

    def __init__(self, bound: Bound) -> None:
        names = bound.layout.names
        self._bound = bound
        self._settings = settings = bound.settings.of(CODE, HeatSettings)
        self._window = round(settings.window * _SECOND)
        self._faces = Faces(bound.layout, ("energy", "volume"))
        self._flow = names.index("flow_temperature")
        self._back = names.index("return_temperature")
        told = "temperature_difference" in names
        self._difference = names.index("temperature_difference") if told else None

    def run(
        self, memory: Heat, _track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]
    ) -> None:
        """Sums one step; judges the window when it is long and full enough."""
        at_energy, at_volume = self._faces.indexes
        energy, volume = reading.values[at_energy], reading.values[at_volume]
        flow, back = reading.values[self._flow], reading.values[self._back]
        if late or not isinstance(energy, float) or not isinstance(volume, float):
            return
        if not isinstance(flow, float) or not isinstance(back, float):
            return
        balance = memory.balance
        since = balance.registers.at
        meter = self._meter(reading.device_id, at)
        grown = self._faces.grown(balance.registers, at, [energy, volume], meter.version)
        if grown is None:
            return
        if isinstance(grown, str):
            begin_window(balance, at)
            memory.hours, memory.apart = 0.0, True
        else:
            told = None if self._difference is None else reading.values[self._difference]
            self._step(memory, meter, grown, (at - since) / _SECOND / _HOUR, (flow, back, told))
            if at - balance.since >= self._window:
                self._close(memory, meter, reading, at, flags)
        memory.flow, memory.back = flow, back

    def _meter(self, device_id: str, at: int) -> _Meter:
        settings = self._settings
        device = known_at(self._bound, device_id, at)
        known: dict[str, Any] = device.parameters if device is not None else {}
        accuracy_class, sensor = known.get("accuracy_class"), known.get("flow_sensor")
        return _Meter(
            accuracy_class if accuracy_class in _MPE else settings.accuracy_class,
            number_of(known.get("dt_min"), None) or settings.delta_theta_min,
            number_of(known.get("qp"), None) or settings.nominal_flow,
            sensor if sensor in {"flow", "return"} else settings.flow_sensor,
            version_of(device),
        )

    def _step(
        self,
        memory: Heat,
        meter: _Meter,
        grown: list[float],
        hours: float,
        now: tuple[float, float, object],
    ) -> None:
        """Adds a step whose temperatures, the mean of both ends, are far enough apart."""
        balance, (flow, back, told) = memory.balance, now
        flow, back = (memory.flow + flow) / 2, (memory.back + back) / 2
        delta = flow - back
        shown = told if isinstance(told, float) else now[0] - now[1]
        if min(memory.flow - memory.back, delta, shown) < meter.delta_theta_min:
            memory.apart = True
            return
        in_flow, in_back = (heat_coefficient(flow, back, pipe) for pipe in (flow, back))
        k = {"flow": in_flow, "return": in_back}.get(meter.flow_sensor or "")
        if k is None:
            k = (in_flow + in_back) / 2
            balance.slack += abs(in_flow - in_back) / 2 * delta * grown[1]
        balance.observed += grown[0]
        balance.expected += k * delta * grown[1]
        balance.volume += grown[1]
        balance.weighted += delta * grown[1]
        balance.steps += 1
        memory.hours += hours
        if memory.apart:
            # Both registers are cut to their last digit where the sum begins and where it ends.
            memory.apart = False
            resolutions = self._faces.resolutions
            balance.slack += resolutions[0] + k * delta * resolutions[1]

    def _close(
        self, memory: Heat, meter: _Meter, reading: Reading, at: int, flags: list[Flag]
    ) -> None:
        balance = memory.balance
        if balance.volume <= 0 or balance.expected <= 0:
            return
        delta = balance.weighted / balance.volume
        flow = balance.volume / memory.hours
        share = permissible_error(
            meter.accuracy_class, delta, meter.delta_theta_min, flow, meter.nominal_flow
        )
        in_service = delta < 2 * meter.delta_theta_min
        share = share * (1 + in_service) + self._settings.sampling
        allowed = share * balance.expected
        if balance.slack > allowed:
            return  # less heat than rounding hides: the window goes on
        tolerance = allowed + balance.slack
        difference = abs(balance.observed - balance.expected)
        latest = {"latest": round(balance.observed, 3)}

        def make(since: int) -> Flag:
            return finding(
                reading,
                CODE,
                {
                    "observed": round(balance.observed, 3),
                    "expected": round(balance.expected, 3),
                    "tolerance": round(tolerance, 3),
                    "unit": "kWh",
                    "formula": "sum over steps of (k * mean temperature difference * volume step)",
                    "inputs": {
                        "volume": round(balance.volume, 6),
                        "temperature_difference": round(delta, 3),
                        "heat_coefficient": round(balance.expected / balance.weighted, 5),
                        "flow_rate": round(flow, 4),
                        "accuracy_class": meter.accuracy_class,
                        "steps": balance.steps,
                    },
                    **latest,
                },
                occasion=f"@{since}",
                quantity="energy",
                channel=reading.channel,
                since=since,
                until=at,
            )

        judge_window(
            balance.lasting, balance.since, at,
            off=difference > tolerance, far=difference > _FAR * tolerance,
            times=self._settings.windows, make=make, changes=lambda: latest, flags=flags,
        )  # fmt: skip
        begin_window(balance, at)
        memory.hours, memory.apart = 0.0, True


HEAT_BALANCE_MISMATCH: Final = Series(CODE, HeatSettings, _make)
