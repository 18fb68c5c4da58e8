"""The quality of the supply at an electricity meter: voltage and frequency out of their limits.

``voltage_out_of_limits`` (GB/T 12325-2008) is judged by phase, ``frequency_out_of_limits``
(GB/T 15945-2008) by device.  Both are conditions that last: a single reading is a dip or a swell,
which those standards do not speak of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, Self

import msgspec
from pydantic import Field, model_validator

from gateway.checks.findings import finding
from gateway.checks.lasting import Lasting, begin, end, go_on, stays
from gateway.checks.parameters import NotNegative, Positive, Settings, in_unit
from gateway.checks.series import Series, SeriesCheck
from gateway.devices import having, valid_at

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.records import Flag, Reading

_SECOND = 10**9
_THREE_PHASE: Final = 300.0
"""V: nominal voltages above it are between phases."""
_INTERRUPTED: Final = 0.6
"""Of nominal: below it a phase is lost or off, which is no deviation (see ``phase_loss``)."""
NOMINAL: Final = "nominal_voltage"

Times = Annotated[int, Field(ge=1, le=1000)]
Voltage = Annotated[Positive, in_unit("V")]
Frequency = Annotated[Positive, in_unit("Hz")]


class VoltageSettings(Settings):
    """Limits in V, else from the nominal voltage; how long and how often they must be passed.

    ``nominal`` stands behind the registry's ``nominal_voltage``.  ``hysteresis`` is V by which a
    voltage must be back within its limits.
    """

    nominal: Voltage = 220.0
    low: Voltage | None = None
    high: Voltage | None = None
    hysteresis: NotNegative = 1.0
    times: Times = 3
    duration: NotNegative = 600.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("`low` must be below `high`")
        return self


class FrequencySettings(Settings):
    """Hz: the nominal frequency and how far from it; how long and how often."""

    nominal: Frequency = 50.0
    tolerance: Frequency = 0.2
    hysteresis: NotNegative = 0.02
    times: Times = 3
    duration: NotNegative = 600.0


class Band(NamedTuple):
    """What is right: limits, the inner ones that end a condition, nominal, and how it lasts."""

    low: float
    high: float
    inner_low: float
    inner_high: float
    nominal: float
    times: int
    duration: int


class Condition(msgspec.Struct, array_like=True):
    """A limit that is passed, and the farthest value while a beginning is being waited for."""

    lasting: Lasting = msgspec.field(default_factory=Lasting)
    extreme: float = 0.0
    last: int = 0


def supply_limits(nominal: float) -> tuple[float, float]:
    """GB/T 12325-2008: 220 V single phase -10 % to +7 %, three phases up to 20 kV ±7 %.

    Args:
        nominal: V; between phases above 300 V.
    """
    return nominal * (0.93 if nominal > _THREE_PHASE else 0.90), nominal * 1.07


def nominal_voltage(bound: Bound, device_id: str, at: int, usual: float) -> float:
    """The registry's nominal voltage of a device at a time, else the usual one."""
    device = valid_at(bound.devices, device_id, at)
    told = device.parameters.get(NOMINAL) if device is not None else None
    usable = isinstance(told, (int, float)) and not isinstance(told, bool) and told > 0
    return float(told) if usable and told is not None else usual


def _voltage(bound: Bound) -> SeriesCheck | None:
    if "voltage" not in bound.layout.names:
        return None
    at_voltage = bound.layout.names.index("voltage")
    settings = bound.settings.of("voltage_out_of_limits", VoltageSettings)

    def band(nominal: float) -> Band:
        low, high = supply_limits(nominal)
        low, high = settings.low or low, settings.high or high
        inside = min(settings.hysteresis, (high - low) / 4)
        duration = round(settings.duration * _SECOND)
        return Band(low, high, low + inside, high - inside, nominal, settings.times, duration)

    usual, told = band(settings.nominal), having(bound.devices, NOMINAL)

    def run(
        memory: Condition, _track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]
    ) -> None:
        value = reading.values[at_voltage]
        if late or not isinstance(value, float):
            return
        limits = usual
        if reading.device_id in told:
            nominal = nominal_voltage(bound, reading.device_id, at, usual.nominal)
            limits = band(nominal)
        if limits.inner_low <= value <= limits.inner_high and memory.lasting.flag is None:
            memory.lasting.seen = 0
        elif value >= limits.nominal * _INTERRUPTED:
            _follow(memory, limits, value, reading, at, quantity="voltage", flags=flags)

    return SeriesCheck("voltage_out_of_limits", Condition, True, run)


def _frequency(bound: Bound) -> SeriesCheck | None:
    if bound.layout.kind != "electricity_meter" or "frequency" not in bound.layout.names:
        return None
    at_frequency = bound.layout.names.index("frequency")
    settings = bound.settings.of("frequency_out_of_limits", FrequencySettings)
    nominal, tolerance = settings.nominal, settings.tolerance
    inside = min(settings.hysteresis, tolerance / 2)
    limits = Band(
        nominal - tolerance, nominal + tolerance,
        nominal - tolerance + inside, nominal + tolerance - inside,
        nominal, settings.times, round(settings.duration * _SECOND),
    )  # fmt: skip
    # What no network can have is a fault of the sensor: value_out_of_range says that.
    least, most = nominal * 0.9, nominal * 1.1

    def run(
        memory: Condition, _track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]
    ) -> None:
        value = reading.values[at_frequency]
        if late or not isinstance(value, float) or not least <= value <= most:
            return
        if limits.inner_low <= value <= limits.inner_high and memory.lasting.flag is None:
            memory.lasting.seen = 0
        else:
            _follow(memory, limits, value, reading, at, quantity="frequency", flags=flags)

    return SeriesCheck("frequency_out_of_limits", Condition, True, run)


def _follow(
    memory: Condition,
    limits: Band,
    value: float,
    reading: Reading,
    at: int,
    *,
    quantity: str,
    flags: list[Flag],
) -> None:
    """Counts towards a beginning or an end, or goes on."""
    lasting = memory.lasting
    outside = max(limits.low - value, value - limits.high)
    flag = lasting.flag
    if outside > 0:
        farther = not lasting.seen if flag is None else False
        if farther or outside > max(limits.low - memory.extreme, memory.extreme - limits.high):
            memory.extreme = value
        memory.last = at
        if flag is not None:
            stays(lasting)
            go_on(lasting, at, {"extreme": memory.extreme}, flags)
        elif holds(lasting, at, limits.times, limits.duration):
            begin(lasting, _flag(memory, limits, value, reading, quantity), flags)
    elif flag is None or not limits.inner_low <= value <= limits.inner_high:
        stays(lasting)
    elif holds(lasting, at, limits.times, limits.duration):
        end(lasting, flags)


def holds(lasting: Lasting, at: int, times: int, duration: int) -> bool:
    """Whether a change of state was told often enough and for long enough.

    Args:
        lasting: the memory.
        at: ns, of this reading, which tells it.
        times: how many readings in a row must.
        duration: ns from the first of them to this one.
    """
    if not lasting.seen:
        lasting.since = at
    lasting.seen += 1
    if lasting.seen < times or at - lasting.since < duration:
        return False
    lasting.seen = 0
    return True


def _flag(memory: Condition, limits: Band, value: float, reading: Reading, quantity: str) -> Flag:
    since = memory.lasting.since
    return finding(
        reading,
        f"{quantity}_out_of_limits",
        {
            "observed": value,
            "expected": {"low": round(limits.low, 3), "high": round(limits.high, 3)},
            "tolerance": 0,
            "unit": "V" if quantity == "voltage" else "Hz",
            "nominal": limits.nominal,
            "extreme": memory.extreme,
        },
        occasion=f"@{since}",
        quantity=quantity,
        channel=reading.channel,
        since=since,
        until=memory.last,
    )


VOLTAGE_OUT_OF_LIMITS: Final = Series("voltage_out_of_limits", VoltageSettings, _voltage)
FREQUENCY_OUT_OF_LIMITS: Final = Series("frequency_out_of_limits", FrequencySettings, _frequency)
