"""A household's or shop's electricity meter: daily curve, tariff registers, voltages, power.

Energy is an integer of 1e-5 kWh inside; displays cut it to 0.01 kWh as meters do, so the shown
total and the sum of the shown tariff registers differ by less than 0.01 kWh a tariff.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulators.clock import HOUR, local_hour, next_local_hour
from simulators.instrument import Body, Setting, day_curve, shown, start_register

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL_SCALE: Final = 10**8
"""Registers have 6 digits before the point and 2 after it, in kWh (DL/T 645: XXXXXX.XX)."""

TARIFF: Final = (4, 4, 4, 4, 4, 4, 4, 3, 3, 2, 2, 2, 3, 3, 3, 3, 3, 2, 2, 1, 1, 2, 2, 4)
"""Tariff register by hour of day: 1 sharp, 2 peak, 3 flat, 4 valley."""

_FINE: Final = 1_000
"""Internal units of 1e-5 kWh in one step of the display."""

_HOME: Final = day_curve(
    (4, 3, 3, 3, 3, 3, 4, 7, 7, 5, 5, 6, 7, 6, 5, 5, 6, 9, 12, 14, 14, 12, 9, 6)
)  # fmt: skip
_SHOP: Final = day_curve(
    (3, 3, 3, 3, 3, 3, 4, 6, 10, 13, 14, 14, 13, 13, 14, 14, 14, 13, 11, 9, 7, 5, 4, 3)
)  # fmt: skip
_PHASES: Final = ("L1", "L2", "L3")


class ElectricityMeter:
    """One meter: four in five are single-phase homes, the fifth a three-phase shop."""

    def __init__(self, setting: Setting) -> None:
        rng = setting.random("make")
        self._setting = setting
        self._rng = setting.random("load")
        self._phases = _PHASES if setting.index % 5 == 4 else _PHASES[:1]
        three = len(self._phases) == 3
        self._curve = _SHOP if three else _HOME
        self._mean_kw = rng.uniform(2.0, 9.0) if three else rng.uniform(0.15, 0.7)
        self._factor = rng.uniform(0.90, 0.97)
        self._shares = [1 + rng.uniform(-0.1, 0.1) for _ in self._phases]
        total = start_register(rng, (10**4, 6 * 10**6), FULL_SCALE, 500)
        cuts = sorted(rng.uniform(0.1, 0.9) for _ in range(3))
        parts = [cuts[0], cuts[1] - cuts[0], cuts[2] - cuts[1]]
        tariffs = [round(total * part) * _FINE + rng.randrange(_FINE) for part in parts]
        self._tariffs = [*tariffs, total * _FINE - sum(tariffs)]
        self._reactive = rng.randint(10**3, 10**6) * _FINE
        self._demand = 0.0
        self._noise = 0.0
        self._battery = rng.uniform(3.55, 3.68)

    def parameters(self) -> Body:
        """Zone, currency, phases."""
        return {
            "time_zone": "Asia/Shanghai",
            "currency": "CNY",
            "phases": len(self._phases),
            "tariff_hours": list(TARIFF),
        }

    def readings(self) -> Iterator[tuple[int, Body]]:
        """Registers and instantaneous values every interval."""
        interval = self._setting.interval
        at = self._setting.start + self._rng.randrange(interval)
        while True:
            active, factor = self._consume(at - interval, at)
            yield at, self._report(at, active, factor)
            at += interval

    def _consume(self, since: int, until: int) -> tuple[float, float]:
        """Draws energy hour by hour and returns mean power in kW and the power factor."""
        rng = self._rng
        self._noise = 0.7 * self._noise + rng.gauss(0, 0.18)
        level = self._mean_kw * min(4.0, max(0.15, 1 + self._noise))
        factor = min(0.99, max(0.85, self._factor + 0.02 * self._noise))
        energy = 0
        while since < until:
            hour = local_hour(since)
            end = min(until, next_local_hour(since))
            part = round(level * self._curve[hour] * (end - since) / HOUR * 100 * _FINE)
            self._tariffs[TARIFF[hour] - 1] += part
            energy += part
            since = end
        power = energy / (100 * _FINE) / (self._setting.interval / HOUR)
        self._reactive += round(energy * (1 / factor**2 - 1) ** 0.5)
        self._demand = max(self._demand, power)
        return power, factor

    def _report(self, at: int, active: float, factor: float) -> Body:
        rng = self._rng
        apparent = active / factor
        load = apparent / (3 if len(self._phases) == 3 else 1)
        voltage, amperage = {}, {}
        whole = sum(self._shares)
        for phase, share in zip(self._phases, self._shares, strict=True):
            # a loaded line sags: about 0.6 V a kVA
            volts = round(224.0 - 0.6 * load + (rng.random() - 0.5) * 4, 1)
            voltage[phase] = volts
            amperage[phase] = round(apparent * share / whole * 1000 / volts, 3)
        full = FULL_SCALE
        t1, t2, t3, t4 = self._tariffs
        return {
            "type": "periodic",
            "seq": 0,
            "ts": at,
            "energy": {
                "import": shown((t1 + t2 + t3 + t4) // _FINE, 2, full),
                "T1": shown(t1 // _FINE, 2, full),
                "T2": shown(t2 // _FINE, 2, full),
                "T3": shown(t3 // _FINE, 2, full),
                "T4": shown(t4 // _FINE, 2, full),
                "reactive_import": shown(self._reactive // _FINE, 2, full),
            },
            "power": {
                "active": round(active, 4),
                "reactive": round((apparent**2 - active**2) ** 0.5, 4),
                "apparent": round(apparent, 4),
                "factor": round(factor, 3),
            },
            "voltage": voltage,
            "amperage": amperage,
            "frequency": round(50 + (rng.random() - 0.5) * 0.08, 2),
            "demand_max": round(self._demand, 4),
            "battery_voltage": round(self._battery, 2),
        }
