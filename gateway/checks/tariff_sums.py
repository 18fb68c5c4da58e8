"""The total register of an electricity meter against its tariff registers: ``tariff_sum_mismatch``.

Total and tariffs arrive as separate readings (channels) of one message.  They are judged as soon
as the total and every tariff that the device is known to send are there; what is incomplete when
the device's next message begins is judged then, if it can be.

What is judged is the *residual*, total minus the tariffs.  A residual that is zero at the first
sight must stay so.  Tariffs that exceed the total are a mismatch at once.  A total that is larger
at first sight may contain a tariff that is not sent: then a step is judged, not the level.  A step
is a mismatch where no such tariff could make it (it would have to run backwards, or faster than
the total); once the residual has stood still over enough steps, any step is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.checks.findings import end_condition, finding, prolong
from gateway.checks.state import Residual, TariffSums

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.checks.bound import Bound, Track
    from gateway.checks.settings import TariffSumSettings
    from gateway.records import Flag, Reading

CODE = "tariff_sum_mismatch"
TOTAL = "total"
QUANTITIES = (
    "energy_import",
    "energy_export",
    "energy_reactive_import",
    "energy_reactive_export",
)
_TARIFFS = frozenset(f"T{number}" for number in range(1, 9))
_GROUPS = 64
_FLOAT_SLACK = 1e-6


def tariff_sum_check(
    bound: Bound, settings: TariffSumSettings
) -> Callable[[Track, Reading, list[Flag]], None]:
    """Collects the registers of one message and judges their sum."""
    columns = [(index, name) for index, name in enumerate(bound.layout.names) if name in QUANTITIES]

    def check(track: Track, reading: Reading, flags: list[Flag]) -> None:
        channel = reading.channel
        if channel is None or (channel != TOTAL and channel not in _TARIFFS):
            return
        sums = track.device.sums
        if sums is None:
            sums = track.device.sums = TariffSums()
        if sums.offset != reading.ledger_offset:
            _Judge(settings, track, reading, flags).finish(sums)
        group = sums.groups.get(reading.measured_at)
        if group is None:
            if len(sums.groups) == _GROUPS:
                bound.not_judged(CODE, "too many times in one message")
                return
            group = sums.groups[reading.measured_at] = {}
        for index, quantity in columns:
            value = reading.values[index]
            if isinstance(value, float):
                registers = group.setdefault(quantity, {})
                registers[channel] = value
                known = sums.known.get(quantity)
                if known and len(registers) > len(known) and registers.keys() >= {TOTAL, *known}:
                    judge = _Judge(settings, track, reading, flags)
                    judge.complete(sums, quantity, group.pop(quantity), reading.measured_at)

    return check


class _Judge:
    """One message's sums, judged on behalf of the reading that completed or followed them."""

    def __init__(
        self, settings: TariffSumSettings, track: Track, reading: Reading, flags: list[Flag]
    ) -> None:
        self._bound = track.bound
        self._dials = track.dials
        self._settings = settings
        self._conditions = track.device.conditions
        self._reading = reading
        self._flags = flags

    def finish(self, sums: TariffSums) -> None:
        """Another message begins: what waits of the one before is all there will be."""
        for measured_at, group in sums.groups.items():
            for quantity, registers in group.items():
                self.incomplete(sums, quantity, registers, measured_at)
        sums.offset, sums.groups = self._reading.ledger_offset, {}

    def incomplete(
        self, sums: TariffSums, quantity: str, registers: dict[str, float], measured_at: int
    ) -> None:
        """The message is over: learns which tariffs the device sends."""
        known = sums.known.get(quantity, [])
        sent = sorted({*known, *registers} - {TOTAL})
        if not sent:
            return
        sums.known[quantity] = sent
        if TOTAL in registers and registers.keys() >= set(sent):
            self.complete(sums, quantity, registers, measured_at)
        else:
            self._bound.not_judged(CODE, "a register is missing")

    def complete(
        self, sums: TariffSums, quantity: str, registers: dict[str, float], measured_at: int
    ) -> None:
        """Judges total against tariffs."""
        total = registers[TOTAL]
        tariffs = {name: registers[name] for name in sorted(registers) if name != TOTAL}
        expected = sum(tariffs.values())
        residual = self._within_scale(quantity, total - expected)
        now = Residual(residual, total, measured_at, 0, settled=False)
        tolerance = self._settings.per_tariff * len(tariffs)
        before = sums.residuals.get(quantity)
        if before is None:
            if now.residual > tolerance + _FLOAT_SLACK:
                sums.residuals[quantity] = now
                self._bound.not_judged(CODE, "the total may contain a tariff that is not sent")
                return
            before = Residual(0.0, total, measured_at, 0, settled=True)
            sums.residuals[quantity] = before
        off = abs(now.residual - before.residual) > tolerance + _FLOAT_SLACK
        if before.settled and not off and not self._conditions:
            return
        evidence: dict[str, object] = {
            "observed": total,
            "expected": expected + before.residual,
            "tolerance": tolerance,
            "unit": "kvar.h" if "reactive" in quantity else "kWh",
            "residual": now.residual,
            "residual_before": before.residual,
            "formula": "total = sum of the tariffs + residual_before",
            "inputs": tariffs,
        }
        if before.settled:
            self._level(quantity, measured_at, evidence, off=off)
        elif measured_at >= before.at:
            self._step(quantity, evidence, before, now, off=off)

    def _within_scale(self, quantity: str, residual: float) -> float:
        """The residual without whole turns: total and tariffs roll over at different times."""
        sizes = (dial.full_scale for dial in self._dials if dial.quantity == quantity)
        full_scale = next(sizes, 0.0)
        if not full_scale:
            return residual
        return residual - round(residual / full_scale) * full_scale

    def _level(
        self, quantity: str, measured_at: int, evidence: dict[str, object], *, off: bool
    ) -> None:
        key = f"{CODE} {quantity}"
        if off and key in self._conditions:
            prolong(self._conditions, key, self._reading, {"latest": evidence["residual"]})
        elif off:
            flag = self._flag(quantity, measured_at, {**evidence, "count": 1})
            self._conditions[key] = flag
            self._bound.emit(flag, self._flags)
        elif key in self._conditions:
            self._bound.emit(end_condition(self._conditions, key, measured_at), self._flags)

    def _step(
        self,
        quantity: str,
        evidence: dict[str, object],
        before: Residual,
        now: Residual,
        *,
        off: bool,
    ) -> None:
        tolerance = self._settings.per_tariff * 2
        moved, driven = now.residual - before.residual, now.total - before.total
        if not off:
            before.steady += driven > tolerance
            before.settled = before.steady >= self._settings.settle_after
        else:
            if -tolerance <= moved <= driven + tolerance:
                self._bound.not_judged(CODE, "the total may contain a tariff that is not sent")
            else:
                flag = self._flag(quantity, now.at, {**evidence, "count": 1})
                self._bound.emit(flag, self._flags)
            before.steady, before.residual = 0, now.residual
        before.total, before.at = now.total, now.at

    def _flag(self, quantity: str, measured_at: int, evidence: dict[str, object]) -> Flag:
        return finding(
            self._reading,
            CODE,
            evidence,
            occasion=f"@{measured_at}",
            quantity=quantity,
            channel=TOTAL,
            until=measured_at,
        )
