"""A phase of an electricity meter that has lost its voltage while others have it: ``phase_loss``.

DL/T 645-2007 tells two events apart.  *Loss of voltage* (失压): no voltage while current flows, so
energy is used and not measured: a loose or cut voltage lead.  *Broken phase* (断相): neither: the
supply or a fuse.  The second is told only of a phase that had voltage before, because many
three-phase meters are connected to fewer phases by design.  Below which voltage and above which
current are settings of this check.

The phases of one message come as readings of their own; they are judged when all that the device
is known to send are there, at the latest when its next message begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from pydantic import Field

from gateway.checks.findings import finding
from gateway.checks.lasting import Lasting, begin, end, go_on, stays, waits
from gateway.checks.parameters import NotNegative, Positive, Settings
from gateway.checks.series import Series, SeriesCheck
from gateway.checks.supply import nominal_voltage
from gateway.devices import valid_at

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.records import Flag, Reading

CODE: Final = "phase_loss"
PHASES: Final = ("L1", "L2", "L3")
BASIC_CURRENT: Final = "basic_current"

Share = Annotated[float, Field(gt=0, lt=1)]


class PhaseSettings(Settings):
    """Shares of nominal voltage and of basic current; messages in a row.

    ``nominal`` (V) and ``basic_current`` (A) stand behind the registry's ``nominal_voltage`` and
    ``basic_current``.
    """

    nominal: Positive = 220.0
    basic_current: Positive = 5.0
    threshold: Share = 0.6
    hysteresis: Annotated[float, Field(ge=0, lt=1)] = 0.1
    current: NotNegative = 0.05
    times: Annotated[int, Field(ge=1, le=1000)] = 2


class Phases(msgspec.Struct, array_like=True):
    """The message being read, the phases known, those that had voltage, and what stands."""

    at: int = 0
    offset: int = 0
    voltages: dict[str, float] = {}
    amperages: dict[str, float] = {}
    known: list[str] = []
    alive: list[str] = []
    lost: dict[str, Lasting] = {}


def _make(bound: Bound) -> SeriesCheck | None:
    names = bound.layout.names
    if "voltage" not in names:
        return None
    at_voltage = names.index("voltage")
    at_amperage = names.index("amperage") if "amperage" in names else None
    judge = _Judge(bound, bound.settings.of(CODE, PhaseSettings))

    def run(
        memory: Phases, _track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]
    ) -> None:
        channel = reading.channel
        if channel not in PHASES or late:
            return
        if at != memory.at:
            if memory.voltages:
                judge.message(memory, reading, flags)
            memory.at, memory.offset = at, reading.ledger_offset
        voltage = reading.values[at_voltage]
        if not isinstance(voltage, float):
            return
        memory.voltages[channel] = voltage
        amperage = None if at_amperage is None else reading.values[at_amperage]
        if isinstance(amperage, float):
            memory.amperages[channel] = amperage
        if len(memory.voltages) == len(memory.known) > 1:
            judge.message(memory, reading, flags)

    return SeriesCheck(CODE, Phases, False, run)


class _Judge:
    """Judges the phases of one message."""

    def __init__(self, bound: Bound, settings: PhaseSettings) -> None:
        self._bound = bound
        self._settings = settings

    def message(self, memory: Phases, reading: Reading, flags: list[Flag]) -> None:
        """All that came of it is there; forgets it."""
        voltages, amperages = memory.voltages, memory.amperages
        memory.voltages, memory.amperages = {}, {}
        if len(voltages) > len(memory.known):
            memory.known = sorted({*memory.known, *voltages})
        if len(voltages) < 2:
            return
        settings = self._settings
        nominal = nominal_voltage(self._bound, reading.device_id, memory.at, settings.nominal)
        below = settings.threshold * nominal
        if not any(voltage >= below for voltage in voltages.values()):
            return  # no phase has voltage: the supply failed as a whole
        for channel, voltage in voltages.items():
            if voltage < below:
                self._low(
                    memory, reading, channel,
                    voltages=voltages, amperages=amperages, nominal=nominal, flags=flags,
                )  # fmt: skip
            else:
                self._well(memory, channel, voltage, nominal, flags)

    def _low(
        self,
        memory: Phases,
        reading: Reading,
        channel: str,
        *,
        voltages: dict[str, float],
        amperages: dict[str, float],
        nominal: float,
        flags: list[Flag],
    ) -> None:
        settings = self._settings
        basic = self._basic_current(reading.device_id, memory.at)
        flowing = abs(amperages.get(channel, 0.0)) > settings.current * basic
        if not flowing and channel not in memory.alive:
            return
        severity = "major" if flowing else "minor"
        lasting = memory.lost.get(channel)
        if lasting is None:
            lasting = memory.lost[channel] = Lasting()
        if lasting.flag is not None:
            stays(lasting)
            go_on(lasting, memory.at, {}, flags, severity)
        elif not waits(lasting, memory.at, settings.times):
            flag = finding(
                reading,
                CODE,
                {
                    "observed": voltages[channel],
                    "expected": f"at least {settings.threshold:g} of nominal",
                    "tolerance": 0,
                    "unit": "V",
                    "nominal": nominal,
                    "amperage": amperages.get(channel),
                    "basic_current": basic,
                    "others": {name: v for name, v in voltages.items() if name != channel},
                },
                occasion=f"@{lasting.since}",
                quantity="voltage",
                channel=channel,
                severity=severity,
                since=lasting.since,
                until=memory.at,
                ledger_offset=memory.offset,
            )
            begin(lasting, flag, flags)

    def _well(
        self, memory: Phases, channel: str, voltage: float, nominal: float, flags: list[Flag]
    ) -> None:
        if channel not in memory.alive:
            memory.alive = sorted((*memory.alive, channel))
        lasting = memory.lost.get(channel)
        if lasting is None:
            return
        if lasting.flag is None:
            del memory.lost[channel]
        elif voltage < (self._settings.threshold + self._settings.hysteresis) * nominal:
            stays(lasting)
        elif not waits(lasting, memory.at, self._settings.times):
            end(lasting, flags)
            del memory.lost[channel]

    def _basic_current(self, device_id: str, at: int) -> float:
        device = valid_at(self._bound.devices, device_id, at)
        told = device.parameters.get(BASIC_CURRENT) if device is not None else None
        usable = isinstance(told, (int, float)) and not isinstance(told, bool) and told > 0
        return float(told) if usable and told is not None else self._settings.basic_current


PHASE_LOSS: Final = Series(CODE, PhaseSettings, _make)
