"""A register at whole hours, whenever its device reports: for checks that compare several devices.

Between two readings the register is taken to grow evenly.  What is given is not the register but
the sum of its steps, so that a rollover is none, and an *epoch*, which begins anew where no step
can be told: at a new version of the device (a meter was replaced), or a register that fell for
good.  A single lower value (an old one, or zero, after a restart) is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOUR: Final = 3_600 * 10**9
_LONGEST: Final = 3 * _HOUR
"""Nanoseconds between two readings that may be divided evenly."""


class RegisterSteps(msgspec.Struct, array_like=True):
    """Where a device stands: registers (in, out), their sum of steps, and the epoch."""

    at: int = 0
    values: tuple[float, float] = (0.0, 0.0)
    total: float = 0.0
    epoch: int = 0
    version: int = 0
    low: int = 0


def whole_hours(
    steps: RegisterSteps,
    at: int,
    values: tuple[float, float],
    version: int,
    full_scale: float,
) -> Iterator[tuple[int, float, int]]:
    """Takes a reading in measured order.

    Args:
        steps: the memory of the device.
        at: ns, measured.
        values: registers of both directions; what counts is the first minus the second.
        version: of the device in the registry.
        full_scale: where the registers return to zero; 0 where not known.

    Yields:
        Whole hours (ns) since the reading before, each with the sum of steps and the epoch.  Of a
        hole of more than three hours only its last hour.
    """
    if at <= steps.at:
        return
    forward = _step(steps.values[0], values[0], full_scale)
    back = _step(steps.values[1], values[1], full_scale)
    if steps.at and version == steps.version and (forward is None or back is None):
        steps.low += 1
        if steps.low < 2:
            return
    before, before_at = steps.total, steps.at
    if not steps.at or version != steps.version or forward is None or back is None:
        steps.epoch += 1
        steps.total = before = 0.0
        before_at = at - 1
    else:
        steps.total = before + forward - back
    steps.at, steps.values, steps.version, steps.low = at, values, version, 0
    hour = before_at // _HOUR * _HOUR + _HOUR
    if at - before_at > _LONGEST:
        hour = at // _HOUR * _HOUR
        if hour < at:
            return  # inside a hole: when the energy was used is not known
    while hour <= at:
        share = (hour - before_at) / (at - before_at)
        yield hour, before + share * (steps.total - before), steps.epoch
        hour += _HOUR


def _step(before: float, after: float, full_scale: float) -> float | None:
    """How far a register went; None where it fell."""
    if after >= before:
        return after - before
    around = after - before + full_scale
    return around if full_scale and 0 <= around < full_scale / 20 else None
