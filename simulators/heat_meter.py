"""A dwelling's heat meter: energy is the integral of k times the temperature difference by volume.

k is the heat that a cubic metre of water gives a kelvin, in kWh: density of the water at the flow
sensor, which sits in the return, times the specific heat at the mean temperature (EN 1434-1,
clause on the heat coefficient); 1.13 to 1.16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulators.clock import HOUR
from simulators.instrument import Body, Setting, start_register
from simulators.weather import heating_season, outdoors

if TYPE_CHECKING:
    from collections.abc import Iterator

ENERGY_SCALE: Final = 10**10
"""Registers of energy have 8 digits before the point and 2 after it, in kWh."""

VOLUME_SCALE: Final = 10**9
"""Registers of volume have 6 digits before the point and 3 after it, in m3."""

_FINE: Final = 1_000
"""Internal units of 1e-5 kWh, and of 1e-6 m3, in one step of the displays."""

_INDOORS: Final = 20.0


def heat_coefficient(flow: float, back: float) -> float:
    """The heat of a cubic metre and kelvin in kWh, the flow sensor in the return; degrees Celsius.

    Density by Kell's formula in the short form of Tanaka, specific heat by a parabola about
    35 degrees: both good to 0.1 % between 5 and 95 degrees.
    """
    density = 999.97 * (1 - (back - 3.98) ** 2 * (back + 288.94) / (508_929.2 * (back + 68.12963)))
    mean = (flow + back) / 2
    heat = 4.1783 + 8.6e-6 * (mean - 35.0) ** 2
    return density * heat / 3600


class HeatMeter:
    """One meter of qp 1.5 m3/h, class 2: a dwelling on district heating."""

    def __init__(self, setting: Setting) -> None:
        rng = setting.random("make")
        self._setting = setting
        self._rng = setting.random("use")
        self._energy = start_register(rng, (10**5, 2 * 10**7), ENERGY_SCALE, 5_000) * _FINE
        self._volume = start_register(rng, (10**5, 4 * 10**7), VOLUME_SCALE, 3_000) * _FINE
        self._loss = rng.uniform(0.08, 0.2)
        self._pump = rng.uniform(0.25, 0.6)
        self._supply = rng.uniform(-3, 3)
        self._noise = 0.0
        self._before = self._state(setting.start - setting.interval)

    def parameters(self) -> Body:
        """Zone, where the flow sensor sits, what the certificate says of the meter."""
        return {
            "time_zone": "Asia/Shanghai",
            "flow_sensor": "return",
            "qp": 1.5,
            "dt_min": 3.0,
            "accuracy_class": 2,
        }

    def readings(self) -> Iterator[tuple[int, Body]]:
        """Registers, flow and temperatures every interval."""
        interval = self._setting.interval
        at = self._setting.start + self._rng.randrange(interval)
        while True:
            yield at, self._report(at)
            at += interval

    def _state(self, at: int) -> tuple[float, float, float]:
        """Flow m3/h and the temperatures of flow and return at a moment."""
        rng = self._rng
        self._noise = 0.8 * self._noise + rng.gauss(0, 0.06)
        cold = _INDOORS - outdoors(self._setting.seed, at)
        if not heating_season(at) or cold < 4:
            rest = 19.0 + rng.random()
            return 0.0, round(rest + 0.1, 2), round(rest, 2)
        needed = self._loss * cold * max(0.3, 1 + self._noise)
        rate = self._pump * (1 + 0.3 * self._noise)
        supply = 38.0 + 0.9 * cold + self._supply
        back = supply - needed / (1.15 * rate)
        # a valve that is wide open cannot take more than the water brings
        back = max(back, _INDOORS + 1)
        return rate, round(supply, 2), round(back, 2)

    def _report(self, at: int) -> Body:
        rate, supply, back = state = self._state(at)
        before, self._before = self._before, state
        mean_rate, mean_supply, mean_back = (
            (a + b) / 2 for a, b in zip(before, state, strict=True)
        )
        apart = mean_supply - mean_back if mean_rate else 0.0
        passed = mean_rate * self._setting.interval / HOUR
        heat = heat_coefficient(mean_supply, mean_back) * apart * passed
        self._volume += round(passed * 1000 * _FINE)
        self._energy += round(heat * 100 * _FINE)
        now = heat_coefficient(supply, back) * (supply - back) * rate
        return {
            "type": "periodic",
            "seq": 0,
            "ts": at,
            "energy": {"heating": self._energy // _FINE % ENERGY_SCALE / 100},
            "volume": self._volume // _FINE % VOLUME_SCALE / 1000,
            "power": round(now, 3),
            "flow_rate": round(rate, 3),
            "flow_temperature": supply,
            "return_temperature": back,
            "temperature_difference": round(supply - back, 2),
        }
