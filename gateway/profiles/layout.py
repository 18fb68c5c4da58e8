"""What a compiled block of a profile promises about its readings: the seam to the checks."""

from __future__ import annotations

import msgspec


class Register(msgspec.Struct, frozen=True):
    """A totaliser as the instrument shows it, in the quantity's canonical unit.

    ``full_scale`` is the value at which the register returns to zero (10 to the number of its
    digits before the point, times the unit), or None when it is not known: then a falling register
    is never a rollover.  ``resolution`` is one step of its last digit, None when not known.
    """

    full_scale: float | None = None
    resolution: float | None = None


class Layout(msgspec.Struct, frozen=True):
    """The fixed part of every reading that one block of one profile makes.

    ``names`` are the quantities in the order of ``Reading.values``.  ``registers`` are those that
    only grow.  ``sequence_modulus``: numbers run 0..modulus-1 and wrap (None: no sequence);
    ``sequence_per_channel``: each channel counts for itself.  ``measured``: the instrument sends
    its own time (else the time of receipt stands in, and equal readings are no duplicates).
    """

    kind: str
    event: str
    profile: str
    names: tuple[str, ...]
    registers: dict[str, Register]
    sequence_modulus: int | None
    sequence_per_channel: bool
    measured: bool
