"""A household's gas meter with conversion to base conditions.

Vb = V (p/pb) (Tb/T): pb 101.325 kPa and Tb 293.15 K (20 degrees) as in China, p absolute, the
ratio of compressibilities 1 near atmospheric pressure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulators.clock import HOUR, local_hour
from simulators.instrument import Body, Setting, day_curve, start_register
from simulators.weather import heating_season, outdoors

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL_SCALE: Final = 10**9
"""Registers have 6 digits before the point and 3 after it, in m3."""

_COOK: Final = day_curve(
    (0.2, 0.2, 0.2, 0.2, 0.3, 2, 8, 9, 4, 2, 5, 12, 8, 3, 2, 3, 6, 12, 13, 8, 4, 3, 1, 0.5)
)  # fmt: skip
_FINE: Final = 1_000_000
"""Internal units of 1e-9 m3 in one litre of the display."""


def conversion_factor(pressure: float, temperature: float) -> float:
    """Base volume of one measured m3; absolute kPa and degrees Celsius."""
    return pressure / 101.325 * 293.15 / (temperature + 273.15)


class GasMeter:
    """One G2.5 meter: cooking by the hour, heating by the weather, a pilot never.

    A boiler burns at night too; it rests while nobody is at home, but for the coldest days.
    """

    def __init__(self, setting: Setting) -> None:
        rng = setting.random("make")
        self._setting = setting
        self._rng = setting.random("use")
        self._volume = start_register(rng, (2_000, 3_000_000), FULL_SCALE, 200) * _FINE
        self._base = round(self._volume * rng.uniform(1.0, 1.05))
        self._cooking = rng.uniform(0.2, 0.6)
        self._heating = rng.uniform(0.015, 0.035) if rng.random() < 0.4 else 0.0
        self._pressure = rng.uniform(103.0, 104.0)
        self._indoors = rng.uniform(10, 18)
        self._battery = round(rng.uniform(5.8, 6.2), 2)

    def parameters(self) -> Body:
        """Zone, base conditions in kPa and degrees Celsius, flow limits of G2.5."""
        return {
            "time_zone": "Asia/Shanghai",
            "conversion": {"p_base": 101.325, "t_base": 20.0},
            "q_max": 4.0,
            "q_min": 0.025,
        }

    def readings(self) -> Iterator[tuple[int, Body]]:
        """Registers, flow and conditions every interval."""
        interval = self._setting.interval
        at = self._setting.start + self._rng.randrange(interval)
        while True:
            yield at, self._report(at, *self._burn(at))
            at += interval

    def _burn(self, until: int) -> tuple[float, float, float, float]:
        """Gas of the last interval; returns flow m3/h, pressure, temperature, factor as shown."""
        rng = self._rng
        hours = self._setting.interval / HOUR
        hour = local_hour(until - 1)
        flow = 0.0
        # in the long run the mean of a day is `cooking` m3 in about an hour and a half of flame
        if rng.random() < min(1.0, _COOK[hour] * 0.06 * max(1.0, hours)):
            flow = self._cooking * rng.uniform(0.6, 1.6)
        if self._heating and heating_season(until):
            cold = 18.0 - outdoors(self._setting.seed, until)
            if hour < 9 or hour >= 17 or cold > 24:
                flow += self._heating * max(0.0, cold) * rng.uniform(0.7, 1.3)
        pressure = round(self._pressure + (rng.random() - 0.5) * 0.4, 2)
        temperature = round(self._indoors + (rng.random() - 0.5) * 3, 1)
        factor = round(conversion_factor(pressure, temperature), 5)
        measured = round(flow * hours * 1000 * _FINE)
        self._volume += measured
        self._base += round(measured * factor)
        return flow, pressure, temperature, factor

    def _report(
        self, at: int, flow: float, pressure: float, temperature: float, factor: float
    ) -> Body:
        return {
            "type": "periodic",
            "seq": 0,
            "ts": at,
            "volume": self._volume // _FINE % FULL_SCALE / 1000,
            "volume_base": self._base // _FINE % FULL_SCALE / 1000,
            "flow_rate": round(flow, 3),
            "temperature": temperature,
            "pressure": pressure,
            "conversion_factor": factor,
            "battery_voltage": self._battery,
            "valve": "open",
        }
