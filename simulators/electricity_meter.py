"""A household's or shop's electricity meter: daily curve, tariff registers, voltages, power.

Energy is an integer of 1e-5 kWh inside; displays cut it to 0.01 kWh as meters do, so the shown
total and the sum of the shown tariff registers differ by less than 0.01 kWh a tariff.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulators.clock import HOUR, LOCAL_OFFSET
from simulators.instrument import Body, Setting, day_curve, start_register
from simulators.weather import outdoors, sunshine

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL_SCALE: Final = 10**8
"""Registers have 6 digits before the point and 2 after it, in kWh (DL/T 645: XXXXXX.XX)."""

TARIFF: Final = (4, 4, 4, 4, 4, 4, 4, 3, 3, 2, 2, 2, 3, 3, 3, 3, 3, 2, 2, 1, 1, 2, 2, 4)
"""Tariff register by hour of day: 1 sharp, 2 peak, 3 flat, 4 valley."""

FINE: Final = 1_000
"""Internal units of 1e-5 kWh in one step of the display."""

_PER_KWH: Final = 100 * FINE
_PER_KW_MS: Final = _PER_KWH / HOUR
_HOME: Final = day_curve(
    (4, 3, 3, 3, 3, 3, 4, 7, 7, 5, 5, 6, 7, 6, 5, 5, 6, 9, 12, 14, 14, 12, 9, 6)
)  # fmt: skip
_SHOP: Final = day_curve(
    (3, 3, 3, 3, 3, 3, 4, 6, 10, 13, 14, 14, 13, 13, 14, 14, 14, 13, 11, 9, 7, 5, 4, 3)
)  # fmt: skip
_PHASES: Final = ("L1", "L2", "L3")


def has_three_phases(index: int) -> bool:
    """Whether a device's number makes it a shop with three phases: one in five."""
    return index % 5 == 4


def generates(index: int) -> bool:
    """Whether a device's number makes it a home with solar panels: one in ten."""
    return index % 10 == 7


class ElectricityMeter:
    """One meter: four in five are single-phase homes, the fifth a three-phase shop.

    One home in eight has solar panels and exports what it can't use.

    Args:
        setting: its own.
        three: whether it is a shop, where its number does not decide it.
    """

    def __init__(self, setting: Setting, *, three: bool | None = None) -> None:
        rng = setting.random("make")
        self._setting = setting
        self._rng = setting.random("load")
        self._show = setting.random("show").random
        if three is None:
            three = has_three_phases(setting.index)
        self._phases = _PHASES if three else _PHASES[:1]
        self._curve = _SHOP if three else _HOME
        self.mean_kw = rng.uniform(2.0, 9.0) if three else rng.uniform(0.15, 0.7)
        self._factor = rng.uniform(0.90, 0.97)
        self._shares = [1 + rng.uniform(-0.1, 0.1) for _ in self._phases]
        total = start_register(rng, (10**4, 6 * 10**6), FULL_SCALE, 500)
        cuts = sorted(rng.uniform(0.1, 0.9) for _ in range(3))
        parts = [cuts[0], cuts[1] - cuts[0], cuts[2] - cuts[1]]
        tariffs = [round(total * part) * FINE + rng.randrange(FINE) for part in parts]
        self._tariffs = [*tariffs, total * FINE - sum(tariffs)]
        self._reactive = rng.randint(10**3, 10**6) * FINE
        self._demand = 0.0
        self._noise = 0.0
        self._battery = round(rng.uniform(3.55, 3.68), 2)
        self._heating = rng.uniform(0.02, 0.06) if rng.random() < 0.3 else 0.0
        self._panels = rng.uniform(3.0, 8.0) if generates(setting.index) else 0.0
        self._exported = rng.randint(10**4, 10**6) * FINE if self._panels else 0
        # what the line to the meter loses under load, V a kVA and phase
        self._sag = 0.6 if not self._panels else 0.3
        self._hour = -1
        self._rate = self._sun = 0.0
        self._tariff = 0

    def parameters(self) -> Body:
        """Zone, currency, phases, tariff hours; whether it may export."""
        found: Body = {
            "time_zone": "Asia/Shanghai",
            "currency": "CNY",
            "phases": len(self._phases),
            "tariff_hours": list(TARIFF),
        }
        if self._panels:
            found["generates"] = True
        return found

    def readings(self) -> Iterator[tuple[int, Body]]:
        """Registers and instantaneous values every interval."""
        interval = self._setting.interval
        at = self._setting.start + self._rng.randrange(interval)
        while True:
            yield at, self.report(at, *self.consume(at - interval, at))
            at += interval

    def consume(self, since: int, until: int) -> tuple[int, int]:
        """Draws and feeds in energy hour by hour; what was imported and exported, in 1e-5 kWh."""
        noise = 0.7 * self._noise + self._rng.gauss(0, 0.18)
        self._noise = noise
        level = self.mean_kw * (0.15 if noise < -0.85 else 4.0 if noise > 3.0 else 1 + noise)
        imported = exported = 0
        while since < until:
            hour = since // HOUR
            if hour != self._hour:
                self._turn(hour)
            end = min(until, (hour + 1) * HOUR)
            part = round((level * self._rate - self._sun) * (end - since) * _PER_KW_MS)
            if part >= 0:
                self._tariffs[self._tariff] += part
                imported += part
            else:
                exported -= part
            since = end
        self._exported += exported
        return imported, exported

    def presence(self, at: int) -> float:
        """Whether people are at home: the part of the usual load that is drawn."""
        return 1.0 if at else 0.0

    def _turn(self, hour: int) -> None:
        """Another hour begins: another load, sun and tariff."""
        at = hour * HOUR
        of_day = (hour + LOCAL_OFFSET // HOUR) % 24
        self._hour = hour
        self._tariff = TARIFF[of_day] - 1
        self._rate = self._curve[of_day] * self.presence(at)
        if self._heating:
            cold = max(0.0, 14.0 - outdoors(self._setting.seed, at))
            self._rate *= 1 + self._heating * cold
        if self._panels:
            self._sun = self._panels * sunshine(self._setting.seed, at)

    def report(self, at: int, imported: int, exported: int) -> Body:
        """The message of the interval that ends at ``at``."""
        show = self._show
        active = (imported - exported) / (self._setting.interval * _PER_KW_MS)
        factor = max(0.85, min(0.99, self._factor + 0.02 * self._noise))
        apparent = abs(active) / factor
        reactive = (apparent * apparent - active * active) ** 0.5
        self._reactive += round(reactive * self._setting.interval * _PER_KW_MS)
        self._demand = max(self._demand, active)
        voltage, amperage = {}, {}
        whole = sum(self._shares)
        # a loaded line sags; one that is fed into rises
        usual = 222.0 - self._sag * active / factor / len(self._phases)
        for phase, share in zip(self._phases, self._shares, strict=True):
            volts = round(usual + show() * 4, 1)
            voltage[phase] = volts
            amperage[phase] = round(apparent * share / whole * 1000 / volts, 3)
        t1, t2, t3, t4 = self._tariffs
        return {
            "type": "periodic",
            "seq": 0,
            "ts": at,
            "energy": {
                "import": (t1 + t2 + t3 + t4) // FINE % FULL_SCALE / 100,
                "export": self._exported // FINE % FULL_SCALE / 100,
                "T1": t1 // FINE % FULL_SCALE / 100,
                "T2": t2 // FINE % FULL_SCALE / 100,
                "T3": t3 // FINE % FULL_SCALE / 100,
                "T4": t4 // FINE % FULL_SCALE / 100,
                "reactive_import": self._reactive // FINE % FULL_SCALE / 100,
            },
            "power": {
                "active": round(active, 4),
                "reactive": round(reactive, 4),
                "apparent": round(apparent, 4),
                "factor": round(factor, 3),
            },
            "voltage": voltage,
            "amperage": amperage,
            "frequency": round(49.96 + show() * 0.08, 2),
            "demand_max": round(self._demand, 4),
            "battery_voltage": self._battery,
        }
