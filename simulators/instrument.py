"""What every simulated instrument is: a seeded source of coherent, honest readings."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

Body = dict[str, Any]
"""One message in the reference JSON format; ``seq`` is 0 until the line numbers it."""


class Setting(msgspec.Struct, frozen=True):
    """What an instrument is told: who and where it is, from when on, and how often it reports.

    Times and ``interval`` are milliseconds; ``start`` is the first moment of the run.  ``origin``
    is what the device's readings are seeded by, its id unless told: a protocol may force another
    id on the device, and its readings stay the same.
    """

    seed: int
    device_id: str
    index: int
    start: int
    interval: int
    origin: str = ""

    def random(self, purpose: str) -> Random:
        """A generator of this device and purpose alone: other devices can't disturb it."""
        return Random(f"{self.seed}/{self.origin or self.device_id}/{purpose}")

    def shared_random(self, purpose: str) -> Random:
        """A generator that all devices of a run share, e.g. for the price of fuel on a day."""
        return Random(f"{self.seed}/{purpose}")


class Version(NamedTuple):
    """What the registry learns of a device later: true from ``since`` (ms) on.

    ``fields`` replace those of the line before, ``parameters`` all that there were.
    """

    since: int
    fields: Body
    parameters: Body

    def with_parameters(self, more: Body) -> Version:
        """The same with more parameters."""
        return self._replace(parameters=self.parameters | more)


@runtime_checkable
class Versioned(Protocol):
    """An instrument of which the registry learns more in the course of a run."""

    def versions(self) -> list[Version]:
        """The later versions, by time."""


class Instrument(Protocol):
    """A simulated instrument."""

    def parameters(self) -> Body:
        """What the registry should know of this one device."""

    def readings(self) -> Iterator[tuple[int, Body]]:
        """Messages without end, as (time sent, body), times never falling."""


def half_up(numerator: int, denominator: int) -> int:
    """The quotient of two non-negative integers, halves upward: how displays round money."""
    return (2 * numerator + denominator) // (2 * denominator)


def shown(units: int, decimals: int, full_scale: int) -> float:
    """An integer register as its display shows it: rolled over, and a number with its decimals.

    The division is correctly rounded, so the number's shortest text has at most these decimals.
    """
    return (units % full_scale) / _TENS[decimals]


def units_of(value: float, decimals: int) -> int:
    """The integer behind a displayed number: the reverse of ``shown``."""
    return round(value * _TENS[decimals])


_TENS = (1, 10, 100, 1000, 10_000)


def start_register(rng: Random, usual: tuple[int, int], full_scale: int, near: int) -> int:
    """Where a register stands at the start: one device in 25 stands just below its rollover.

    Args:
        rng: the device's own generator.
        usual: range of ordinary starts, in register units.
        full_scale: units at which the register returns to zero.
        near: how close below full scale the exceptional ones stand, in units.
    """
    if rng.random() < 0.04:
        return full_scale - rng.randint(1, near)
    return rng.randint(*usual)


def day_curve(weights: tuple[float, ...]) -> tuple[float, ...]:
    """24 hourly weights scaled to a mean of one."""
    mean = sum(weights) / 24
    return tuple(weight / mean for weight in weights)
