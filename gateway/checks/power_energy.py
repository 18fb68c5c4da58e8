"""Energy against power: ``power_energy_mismatch`` for meters and for charging sessions.

A meter's energy register must grow as the power it shows says: the sum of power times time.  Shown
power may be the mean of the interval or a sample at its end, and a sample misses or hits what is
switched; so whole days are judged, by two measures that must agree: the ratio of the sums, against
its own scatter, and the median ratio of the day's blocks.

A session cannot have more energy than the rated power of its charger gives in its time.
"""

from __future__ import annotations

from math import sqrt
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from pydantic import Field

from gateway.checks.balances import known_at, version_of
from gateway.checks.findings import finding, occasion_of
from gateway.checks.lasting import Lasting, begin, end, go_on, stays, waits
from gateway.checks.parameters import NotNegative, Positive, Settings
from gateway.checks.registered import number_of
from gateway.checks.series import Series, SeriesCheck
from gateway.checks.steps import Faces, Registers
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.records import Flag, Reading

CODE: Final = "power_energy_mismatch"
_SECOND: Final = 10**9
_HOUR: Final = 3600 * _SECOND
_BLOCK_STEPS: Final = 20.0
"""Steps of the register's last digit in one block: cutting them hides at most 5 % of it."""
_MOST_BLOCKS: Final = 96

Times = Annotated[int, Field(ge=1, le=1000)]


class PowerSettings(Settings):
    """Share of the energy; windows of time and of blocks, how many in a row, and the scatter.

    ``deviations`` is how many standard errors of the window's own scatter are allowed.  ``gap`` is
    the longest step (s) that is summed.  ``rated_power`` (kW) stands behind the registry's.
    """

    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.05
    deviations: Positive = 4.0
    window: Positive = 86_400.0
    blocks: Annotated[int, Field(ge=6, le=_MOST_BLOCKS)] = 12
    windows: Times = 3
    gap: Positive = 7_200.0
    rated_power: Positive | None = None
    session_tolerance: NotNegative = 0.05


class Powers(msgspec.Struct, array_like=True):
    """The window: its blocks as pairs (energy, power times time) in kWh, and the one under way."""

    registers: Registers = msgspec.field(default_factory=Registers)
    since: int = 0
    energies: list[float] = []
    products: list[float] = []
    energy: float = 0.0
    product: float = 0.0
    side: int = 0
    lasting: Lasting = msgspec.field(default_factory=Lasting)


def _make(bound: Bound) -> SeriesCheck | None:
    names = set(bound.layout.names)
    if bound.layout.event == "session" and {"energy", "started_at", "ended_at"} <= names:
        return SeriesCheck(CODE, Powers, True, _Session(bound).run)
    if bound.layout.event == "periodic" and {"energy_import", "power_active"} <= names:
        return SeriesCheck(CODE, Powers, True, _Meter(bound).run)
    return None


class _Meter:
    """Register against power, of one layout."""

    def __init__(self, bound: Bound) -> None:
        names = bound.layout.names
        self._bound = bound
        self._settings = settings = bound.settings.of(CODE, PowerSettings)
        self._window, self._gap = round(settings.window * _SECOND), round(settings.gap * _SECOND)
        self._power = names.index("power_active")
        self._both = "energy_export" in names
        registers = ("energy_import", "energy_export") if self._both else ("energy_import",)
        self._faces = Faces(bound.layout, registers)
        # Where the last digit is not known, a block is 0.2 kWh.
        self._least = _BLOCK_STEPS * (self._faces.resolutions[0] or 0.01)

    def run(  # noqa: PLR0917 - as of every check
        self, memory: Powers, track: Track, reading: Reading, at: int, late: bool,
        flags: list[Flag],
    ) -> None:  # fmt: skip
        """Sums one step; judges the window when it has days and blocks enough."""
        values = reading.values
        taken, power = values[self._faces.indexes[0]], values[self._power]
        if late or not isinstance(taken, float) or not isinstance(power, float):
            return
        registers = [taken]
        if self._both:
            given = values[self._faces.indexes[1]]
            registers.append(given if isinstance(given, float) else 0.0)
        device = track.registered(at)
        since = memory.registers.at
        grown = self._faces.grown(memory.registers, at, registers, version_of(device))
        if grown is None:
            return
        if isinstance(grown, str):
            self._restart(memory, at)
            return
        if at - since > self._gap:
            # Nobody knows the power of a gap: the block under way ends here, unfinished.
            memory.energy = memory.product = 0.0
            return
        if power < 0 and not self._both:
            return
        memory.energy += grown[0] - (grown[1] if self._both else 0.0)
        memory.product += power * (at - since) / _HOUR
        if abs(memory.energy) >= self._least or abs(memory.product) >= self._least:
            memory.energies.append(memory.energy)
            memory.products.append(memory.product)
            memory.energy = memory.product = 0.0
        full = len(memory.energies) >= _MOST_BLOCKS
        if full or (
            at - memory.since >= self._window and len(memory.energies) >= self._settings.blocks
        ):
            if at - memory.since < self._window:
                _merge(memory)
                return
            self._judge(memory, reading, at, flags)
            self._restart(memory, at)

    def _restart(self, memory: Powers, at: int) -> None:
        memory.since = at
        memory.energies, memory.products = [], []
        memory.energy = memory.product = 0.0

    def _judge(self, memory: Powers, reading: Reading, at: int, flags: list[Flag]) -> None:
        settings, lasting = self._settings, memory.lasting
        observed, expected = sum(memory.energies), sum(memory.products)
        if expected < self._least or observed < 0:
            self._bound.not_judged(CODE, "no net power in a window")
            return
        ratio = observed / expected
        pairs = list(zip(memory.energies, memory.products, strict=True))
        scatter = sqrt(sum((energy - ratio * product) ** 2 for energy, product in pairs))
        tolerance = max(settings.tolerance, settings.deviations * scatter / expected)
        middle = median(energy / product if product > 0 else 10.0 for energy, product in pairs)
        side = 0
        if abs(ratio - 1) > tolerance and (ratio > 1) == (middle > 1):
            side = (1 if ratio > 1 else -1) * (abs(middle - 1) > settings.tolerance)
        changes = {"latest": round(ratio, 4)}
        if not side:
            stays(lasting)
            if lasting.flag is not None:
                end(lasting, flags)
        elif lasting.flag is not None:
            go_on(lasting, at, changes, flags)
        else:
            if side != memory.side:
                stays(lasting)
            if not waits(lasting, memory.since, settings.windows):
                flag = self._flag(reading, memory, at, tolerance=tolerance, middle=middle)
                begin(lasting, flag, flags)
        memory.side = side

    def _flag(
        self,
        reading: Reading,
        memory: Powers,
        at: int,
        *,
        tolerance: float,
        middle: float,
    ) -> Flag:
        observed, expected = sum(memory.energies), sum(memory.products)
        since = memory.lasting.since
        return finding(
            reading,
            CODE,
            {
                "observed": round(observed, 4),
                "expected": round(expected, 4),
                "tolerance": round(tolerance * expected, 4),
                "unit": "kWh",
                "formula": "sum over steps of (power at its end * duration)",
                "inputs": {
                    "from": rfc3339(memory.since),
                    "to": rfc3339(at),
                    "blocks": len(memory.energies),
                    "median_ratio": round(middle, 4),
                },
                "latest": round(observed / expected, 4),
            },
            occasion=f"@{since}",
            quantity="energy_import",
            channel=reading.channel,
            since=since,
            until=at,
        )


def _merge(memory: Powers) -> None:
    """Two blocks become one each: there is room for more, and the scatter is that of the sums."""
    energies, products = memory.energies, memory.products
    memory.energies = [a + b for a, b in zip(energies[::2], energies[1::2], strict=True)]
    memory.products = [a + b for a, b in zip(products[::2], products[1::2], strict=True)]


class _Session:
    """Energy of a session against rated power and time, of one layout."""

    def __init__(self, bound: Bound) -> None:
        names = bound.layout.names
        self._bound = bound
        self._settings = bound.settings.of(CODE, PowerSettings)
        self._energy = names.index("energy")
        self._started, self._ended = names.index("started_at"), names.index("ended_at")

    def run(
        self, _memory: Powers, _track: Track, reading: Reading, at: int, late: bool,
        flags: list[Flag],
    ) -> None:  # fmt: skip
        """Judges one session."""
        values = reading.values
        energy, started, ended = values[self._energy], values[self._started], values[self._ended]
        if not isinstance(energy, float):
            return
        rated = self._rated(reading, at)
        if rated is None:
            self._bound.not_judged(CODE, "the rated power is not known")
            return
        if not isinstance(started, int) or not isinstance(ended, int) or ended < started:
            self._bound.not_judged(CODE, "no beginning and end")
            return
        # Times of whole seconds are cut: up to one more may have passed between them.
        cut = 0 if started % _SECOND or ended % _SECOND else _SECOND
        hours = (ended - started + cut) / _HOUR
        expected = rated * hours
        tolerance = self._settings.session_tolerance * expected + 0.02
        if energy <= expected + tolerance:
            return
        evidence: dict[str, Any] = {
            "observed": energy,
            "expected": round(expected, 4),
            "tolerance": round(tolerance, 4),
            "unit": "kWh",
            "formula": "energy <= rated_power * (to - from), 1 s more where both are whole seconds",
            "inputs": {
                "rated_power": rated,
                "from": rfc3339(started),
                "to": rfc3339(ended),
            },
            "latest": round(energy / expected, 4),
            "count": 1,
            "judged_late": late,
        }
        flag = finding(
            reading,
            CODE,
            evidence,
            occasion=occasion_of(reading),
            quantity="energy",
            channel=reading.channel,
            since=started,
            until=ended,
        )
        self._bound.emit(flag, flags)

    def _rated(self, reading: Reading, at: int) -> float | None:
        device = known_at(self._bound, reading.device_id, at)
        told = device.parameters.get("rated_power") if device is not None else None
        return number_of(told, reading.channel) or self._settings.rated_power


POWER_ENERGY_MISMATCH: Final = Series(CODE, PowerSettings, _make)
