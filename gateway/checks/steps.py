"""The growth of registers from one reading to the next, for checks that compare two of them.

A reading whose register fell is left out: a meter that restarts may show a zero or an old value
once (`register_decrease` and `register_rollover` judge that).  When it stays down it was set, or
begins anew every midnight by design: comparing goes on from there, without that step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from gateway.profiles.layout import Layout

_GLITCHES: Final = 2
"""Readings in a row below the last good one that are left out; the next is believed."""
_TURN: Final = 0.05
"""Of full scale: how far a step over it may reach (as in ``register_rollover``)."""
EXCHANGED: Final = "exchanged"


class Registers(msgspec.Struct, array_like=True):
    """The last good reading: its time and its registers; how many were left out since."""

    at: int = 0
    values: list[float] = []
    fallen: int = 0
    version: int = 0


class Faces:
    """The faces of the registers that are compared.

    Args:
        layout: of the readings.
        names: of the registers.
    """

    def __init__(self, layout: Layout, names: tuple[str, ...]) -> None:
        self.indexes = tuple(layout.names.index(name) for name in names)
        faces = [layout.registers.get(name) for name in names]
        self._scales = tuple((face.full_scale or 0.0) if face else 0.0 for face in faces)
        self.resolutions = tuple((face.resolution or 0.0) if face else 0.0 for face in faces)

    def grown(
        self, last: Registers, at: int, values: list[float], version: int
    ) -> list[float] | str | None:
        """The growth of each register since the last good reading, which this one becomes.

        Args:
            last: the memory.
            at: ns, of this reading; not before the last.
            values: of the registers now.
            version: of the device in the registry; with another one begins anew.

        Returns:
            None where there is no step to this reading; `EXCHANGED` where it is the first one of
            a device or of a version of it.
        """
        known = last.values
        if len(known) == len(values) == 2 and last.version == version and not last.fallen:
            # What a reading mostly is, without a loop.
            first, second = values[0] - known[0], values[1] - known[1]
            if first >= 0.0 and second >= 0.0:
                last.at, last.values = at, values
                return [first, second]
        # Another layout of the device may tell other registers.
        if last.version != version or len(known) != len(values) or not known:
            last.at, last.values, last.fallen, last.version = at, values, 0, version
            return EXCHANGED
        steps = [now - before for before, now in zip(known, values)]  # noqa: B905 - as long
        if min(steps) >= 0.0:
            last.at, last.values = at, values
            if last.fallen:
                last.fallen = 0
            return steps
        steps = []
        for before, now, scale in zip(known, values, self._scales, strict=True):
            step = now - before
            if step < 0 and scale and step + scale <= _TURN * scale:
                step += scale
            steps.append(step)
        # One step of the last digit back is jitter.
        if any(
            step < -1.5 * resolution - 1e-9
            for step, resolution in zip(steps, self.resolutions, strict=True)
        ):
            last.fallen += 1
            if last.fallen > _GLITCHES:
                last.at, last.values, last.fallen = at, values, 0
            return None
        last.at, last.values, last.fallen = at, values, 0
        return steps
