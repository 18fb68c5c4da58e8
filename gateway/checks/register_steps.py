"""A register at whole hours, whenever its device reports: for checks that compare several devices.

Between two readings the register is taken to grow evenly.  What is given is not the register but
the sum of its steps (`Faces`), so that a rollover is none, and an *epoch*, which begins anew where
no step can be told: at a new version of the device (a meter was replaced), or a register that fell
for good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from gateway.checks.steps import EXCHANGED, Registers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.checks.steps import Faces

_HOUR: Final = 3_600 * 10**9
_LONGEST: Final = 3 * _HOUR
"""Nanoseconds between two readings that may be divided evenly."""


class RegisterSteps(msgspec.Struct, array_like=True):
    """Where a device stands: its registers, their sum of steps, and the epoch."""

    registers: Registers = msgspec.field(default_factory=Registers)
    total: float = 0.0
    epoch: int = 0


def whole_hours(
    steps: RegisterSteps, faces: Faces, at: int, values: list[float], version: int
) -> Iterator[tuple[int, float, int]]:
    """Takes a reading in measured order.

    Args:
        steps: the memory of the device.
        faces: of the registers: the first counts, and the second, where there is one, against it.
        at: ns, measured.
        values: of the registers.
        version: of the device in the registry.

    Yields:
        Whole hours (ns) since the reading before, each with the sum of steps and the epoch.  Of a
        hole of more than three hours only its last hour.
    """
    before, before_at = steps.total, steps.registers.at
    if at <= before_at:
        return
    grown = faces.grown(steps.registers, at, values, version)
    if grown is None and steps.registers.at != at:
        return  # left out: it fell, and may come back
    if grown is None or grown == EXCHANGED:
        steps.epoch += 1
        steps.total = before = 0.0
        before_at = at - 1
    else:
        steps.total = before + float(grown[0]) - sum(map(float, grown[1:]))
    hour = before_at // _HOUR * _HOUR + _HOUR
    if at - before_at > _LONGEST:
        hour = at // _HOUR * _HOUR
        if hour < at:
            return  # inside a hole: when the energy was used is not known
    while hour <= at:
        share = (hour - before_at) / (at - before_at)
        yield hour, before + share * (steps.total - before), steps.epoch
        hour += _HOUR
