"""The energy of a charge against the registers that it stands between.

``session_energy_mismatch`` (JJG 1148, JJG 1149): what is billed is the register at the end less the
register at the begin, to one step of what is shown, and no charge begins below where the one
before on the same connector ended: what lies between would be billed twice.  Compared in decimals
of what was sent, exactly.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.checks.amounts import EXACT, shown
from gateway.checks.findings import finding, occasion_of
from gateway.checks.parameters import Positive, Settings
from gateway.checks.series import Series, SeriesCheck
from gateway.devices import valid_at
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.records import Flag, Reading

CODE: Final = "session_energy_mismatch"
_REMEMBERED: Final = 4
_SURE: Final = 0.99
_SPAN: Final = 0.05
"""A register that fell and is this near to its full scale, in shares of it, has passed it."""


class SessionEnergySettings(Settings):
    """kWh: one step of the energy or of the register as shown, whichever is coarser."""

    interval: Positive = 0.01


class Charge(msgspec.Struct, array_like=True, order=True, gc=False):
    """A charge by its end: times, registers, number, place in the ledger, registry version."""

    ended_at: int
    start: float
    end: float
    sequence: int
    ledger_offset: int
    version: int


class Charges(msgspec.Struct, array_like=True):
    """The latest charges of a connector, by their end."""

    charges: list[Charge] = []


def _make(bound: Bound) -> SeriesCheck | None:
    layout = bound.layout
    names = layout.names
    if layout.event != "session" or not {"energy_start", "energy_end"} <= set(names):
        return None
    at_start, at_end = names.index("energy_start"), names.index("energy_end")
    at_energy = names.index("energy") if "energy" in names else None
    register = layout.registers.get("energy_end")
    lasts = "energy_start" in layout.registers
    interval = bound.settings.of(CODE, SessionEnergySettings).interval
    step = shown(max(interval, (register and register.resolution) or 0.0))
    within = _SURE * float(step)
    full = shown((register and register.full_scale) or 0.0)

    def run(
        memory: Charges, _track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]
    ) -> None:
        start, end = reading.values[at_start], reading.values[at_end]
        if not isinstance(start, float) or not isinstance(end, float):
            return
        wrong = False
        if at_energy is not None:
            energy = reading.values[at_energy]
            # Floats of what is shown are exact to far less than a step: these are surely within.
            if isinstance(energy, float) and not -within < energy - (end - start) < within:
                flag = _energy(reading, energy, start, end, step=step, full=full, late=late)
                wrong = flag is not None
                bound.emit(flag, flags)
        if not lasts:
            return
        device = valid_at(bound.devices, reading.device_id, at)
        version = 0 if device is None or device.valid_from is None else device.valid_from
        now = Charge(at, start, end, reading.sequence or 0, reading.ledger_offset, version)
        place = bisect_left(memory.charges, now)
        before = memory.charges[place - 1] if place else None
        if before is not None and not wrong:
            bound.emit(_again(reading, now, before, step, late=late), flags)
        insort(memory.charges, now)
        del memory.charges[:-_REMEMBERED]

    return SeriesCheck(CODE, Charges, True, run)


def _energy(
    reading: Reading,
    energy: float,
    start: float,
    end: float,
    *,
    step: Decimal,
    full: Decimal,
    late: bool,
) -> Flag | None:
    """The energy against the difference of its registers."""
    billed, registered = shown(energy), EXACT.subtract(shown(end), shown(start))
    over = registered < 0 and full > 0 and registered + full <= full * Decimal(str(_SPAN))
    if over:
        registered += full
    difference = billed - registered
    if abs(difference) <= step:
        return None
    return _flag(
        reading,
        {
            "observed": energy,
            "expected": float(registered),
            "tolerance": float(step),
            "difference": float(difference),
            "formula": "energy_end - energy_start" + (" + full_scale" if over else ""),
            "inputs": {"energy": energy, "energy_start": start, "energy_end": end}
            | ({"full_scale": float(full)} if over else {}),
        },
        quantity="energy",
        severity="critical" if difference > 0 else "major",
        late=late,
    )


def _again(
    reading: Reading,
    now: Charge,
    before: Charge,
    step: Decimal,
    *,
    late: bool,
) -> Flag | None:
    """A charge that begins below the end of the one before it.

    One that begins below the *begin* of the one before is a register that fell, which
    ``register_decrease`` judges; a meter that was replaced (another version) begins anew.
    """
    if now.start >= before.end or now.version != before.version or now.start < before.start:
        return None
    difference = shown(now.start) - shown(before.end)
    if -difference <= step:
        return None
    return _flag(
        reading,
        {
            "observed": now.start,
            "expected": before.end,
            "tolerance": float(step),
            "difference": float(difference),
            "formula": "energy_start >= energy_end of the charge before",
            "inputs": {
                "energy_start": now.start,
                "other_energy_start": before.start,
                "other_energy_end": before.end,
                "other_ended_at": rfc3339(before.ended_at),
                "other_sequence": before.sequence,
                "other_ledger_offset": before.ledger_offset,
            },
        },
        quantity="energy_start",
        severity="major",
        late=late,
    )


def _flag(
    reading: Reading, evidence: dict[str, Any], *, quantity: str, severity: str, late: bool
) -> Flag:
    started = reading.quantities.get("started_at")
    return finding(
        reading,
        CODE,
        evidence | {"unit": "kWh", "judged_late": late},
        occasion=occasion_of(reading),
        quantity=quantity,
        channel=reading.channel,
        severity=severity,
        since=started if isinstance(started, int) else None,
    )


SESSION_ENERGY_MISMATCH: Final = Series(CODE, SessionEnergySettings, _make)
