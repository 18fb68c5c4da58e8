"""Gas at base conditions against gas as measured: ``conversion_mismatch``.

Vb = V (p/pb) (Tb/T) (Zb/Z), p absolute, T in K (GB/T 6968, EN 12405-1).  Two things are judged: the
*factor* that a converter shows against its own pressure and temperature, reading by reading, and
the *step* of the base volume against the step of the volume times the factor, over windows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from pydantic import Field

from gateway.checks.balances import Balance, begin_window, judge_window, version_of
from gateway.checks.findings import finding
from gateway.checks.lasting import Lasting, begin, end, go_on, stays, waits
from gateway.checks.parameters import Positive, Settings
from gateway.checks.registered import number_of
from gateway.checks.series import Series, SeriesCheck
from gateway.checks.steps import Faces

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.records import Device, Flag, Reading

CODE: Final = "conversion_mismatch"
_SECOND: Final = 10**9
_ZERO: Final = 273.15
_FAR: Final = 3.0
_COMPRESSIBILITY: Final = 0.003
"""Share a bar by which Zb/Z of natural gas at 0 to 30 Cel may leave 1 (about 0.2 to 0.25 %)."""

Share = Annotated[float, Field(gt=0, lt=1)]
Times = Annotated[int, Field(ge=1, le=1000)]


class ConversionSettings(Settings):
    """Tolerance as a share; base conditions in kPa and Cel; readings and windows in a row.

    The base conditions stand behind the registry's ``conversion`` (``p_base`` kPa, ``t_base`` Cel)
    and ``base_pressure``, ``base_temperature``.
    """

    tolerance: Share = 0.01
    base_pressure: Positive = 101.325
    base_temperature: float = 20.0
    times: Times = 3
    windows: Times = 2
    window: Positive = 86_400.0


class Conversion(msgspec.Struct, array_like=True):
    """The condition of the factor, and the window of the steps."""

    factor: Lasting = msgspec.field(default_factory=Lasting)
    balance: Balance = msgspec.field(default_factory=Balance)


def factor_of(
    pressure: float, temperature: float, base_pressure: float, base_temperature: float
) -> float:
    """Base volume of one measured m3, Zb/Z taken as 1; kPa absolute and Cel."""
    return pressure / base_pressure * (base_temperature + _ZERO) / (temperature + _ZERO)


def _make(bound: Bound) -> SeriesCheck | None:
    names = bound.layout.names
    shown = "conversion_factor" in names
    conditions = {"pressure", "temperature"} <= set(names)
    registers = {"volume", "volume_base"} <= set(names)
    if not (shown and conditions) and not (registers and (shown or conditions)):
        return None
    return SeriesCheck(CODE, Conversion, True, _Converter(bound).run)


class _Converter:
    """The check of one layout."""

    def __init__(self, bound: Bound) -> None:
        names = bound.layout.names
        self._bound = bound
        self._settings = bound.settings.of(CODE, ConversionSettings)
        self._window = round(self._settings.window * _SECOND)
        self._tolerance = self._settings.tolerance
        self._usual = self._settings.base_pressure, self._settings.base_temperature

        def index(name: str) -> int | None:
            return names.index(name) if name in names else None

        self._factor, self._pressure = index("conversion_factor"), index("pressure")
        self._temperature = index("temperature")
        both = {"volume", "volume_base"} <= set(names)
        self._faces = Faces(bound.layout, ("volume", "volume_base")) if both else None
        self._registers = self._faces.indexes if self._faces is not None else (0, 0)

    def run(  # noqa: PLR0917 - as of every check
        self, memory: Conversion, track: Track, reading: Reading, at: int, late: bool,
        flags: list[Flag],
    ) -> None:  # fmt: skip
        """Judges one reading; one that is late lies within steps that are summed already."""
        if late:
            return
        values: tuple[Any, ...] = reading.values
        shown = None if self._factor is None else values[self._factor]
        pressure = None if self._pressure is None else values[self._pressure]
        temperature = None if self._temperature is None else values[self._temperature]
        device = track.registered(at)
        computed = None
        if pressure is not None and temperature is not None:
            parameters = device is not None and device.parameters
            base = self._base(device) if parameters else self._usual
            if pressure > 0 and temperature > -_ZERO:
                computed = factor_of(pressure, temperature, *base)
                factor = memory.factor
                if shown is not None and (
                    abs(shown - computed) > self._tolerance * computed
                    or factor.seen
                    or factor.flag is not None
                ):
                    self._judge_factor(
                        factor, reading, at, shown=shown, computed=computed,
                        conditions=(pressure, temperature, *base), flags=flags,
                    )  # fmt: skip
        ratio = shown if shown is not None and shown > 0 else computed
        faces = self._faces
        if faces is None or ratio is None:
            return
        at_volume, at_base = self._registers
        volume, base_volume = values[at_volume], values[at_base]
        if volume is None or base_volume is None:
            return
        balance = memory.balance
        grown = faces.grown(balance.registers, at, [volume, base_volume], version_of(device))
        if isinstance(grown, str):
            begin_window(balance, at)
        elif grown is not None:
            balance.volume += grown[0]
            balance.observed += grown[1]
            balance.expected += grown[0] * ratio
            balance.steps += 1
            if at - balance.since >= self._window:
                self._full(balance, reading, at, ratio, flags)

    def _base(self, device: Device | None) -> tuple[float, float]:
        pressure, temperature = self._settings.base_pressure, self._settings.base_temperature
        if device is None:
            return pressure, temperature
        known: dict[str, Any] = device.parameters
        told = known.get("conversion")
        if isinstance(told, dict):
            known = {**known, "base_pressure": told.get("p_base"),
                     "base_temperature": told.get("t_base")}  # fmt: skip
        degrees = known.get("base_temperature")
        if isinstance(degrees, (int, float)) and not isinstance(degrees, bool):
            temperature = float(degrees)
        return number_of(known.get("base_pressure"), None) or pressure, temperature

    def _judge_factor(
        self,
        lasting: Lasting,
        reading: Reading,
        at: int,
        *,
        shown: float,
        computed: float,
        conditions: tuple[float, float, float, float],
        flags: list[Flag],
    ) -> None:
        pressure, temperature, base_pressure, base_temperature = conditions
        bars = max(0.0, pressure - base_pressure) / 100
        tolerance = (self._settings.tolerance + _COMPRESSIBILITY * bars) * computed
        if abs(shown - computed) <= tolerance:
            if lasting.flag is None:
                lasting.seen = 0
            elif not waits(lasting, at, self._settings.times):
                end(lasting, flags)
            return
        if lasting.flag is not None:
            stays(lasting)
            go_on(lasting, at, {"latest": shown}, flags)
        elif not waits(lasting, at, self._settings.times):
            evidence = {
                "observed": shown,
                "expected": computed,
                "tolerance": tolerance,
                "unit": "1",
                "formula": "p / p_base * (t_base + 273.15) / (t + 273.15)",
                "inputs": {
                    "pressure": pressure,
                    "temperature": temperature,
                    "base_pressure": base_pressure,
                    "base_temperature": base_temperature,
                },
                "latest": shown,
            }
            flag = _flag(reading, evidence, "conversion_factor", lasting.since, at)
            begin(lasting, flag, flags)

    def _full(
        self, balance: Balance, reading: Reading, at: int, factor: float, flags: list[Flag]
    ) -> None:
        """Judges a window that is long enough, if it is full enough."""
        faces = self._faces
        if faces is None:
            return
        mean = balance.expected / balance.volume if balance.volume > 0 else factor
        rounding = faces.resolutions[1] + mean * faces.resolutions[0]
        allowed = self._settings.tolerance * balance.expected
        difference = abs(balance.observed - balance.expected)
        # Less gas than rounding hides: the window goes on, unless base volume grows all the same.
        if 2 * rounding > allowed and difference <= allowed + 4 * rounding:
            return
        self._judge_window(balance, reading, at, allowed + rounding, flags)
        begin_window(balance, at)

    def _judge_window(
        self, balance: Balance, reading: Reading, at: int, tolerance: float, flags: list[Flag]
    ) -> None:
        def evidence() -> dict[str, Any]:
            return {
                "observed": round(balance.observed, 6),
                "expected": round(balance.expected, 6),
                "tolerance": round(tolerance, 6),
                "unit": "m3",
                "formula": "sum over steps of (volume step * conversion factor at its end)",
                "inputs": {"volume": round(balance.volume, 6), "steps": balance.steps},
                "latest": round(balance.observed, 6),
            }

        def make(since: int) -> Flag:
            return _flag(reading, evidence(), "volume_base", since, at)

        difference = abs(balance.observed - balance.expected)
        judge_window(
            balance.lasting, balance.since, at,
            off=difference > tolerance, far=difference > _FAR * tolerance,
            times=self._settings.windows, make=make,
            changes=lambda: {"latest": round(balance.observed, 6)}, flags=flags,
        )  # fmt: skip


def _flag(
    reading: Reading, evidence: dict[str, Any], quantity: str, since: int, until: int
) -> Flag:
    return finding(
        reading,
        CODE,
        evidence,
        occasion=f"@{since}",
        quantity=quantity,
        channel=reading.channel,
        since=since,
        until=until,
    )


CONVERSION_MISMATCH: Final = Series(CODE, ConversionSettings, _make)
