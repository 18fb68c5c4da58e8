"""The pass over a meter's readings that feeds the checks of consumption: see `use`.

It is made once a layout, under the first of its codes that is on: the others have their settings
and flags, but no pass of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gateway.checks.catalogue import CATALOGUE
from gateway.checks.drops import DROP, DropSettings
from gateway.checks.jumps import BURST, SPIKE, BurstSettings, SpikeSettings
from gateway.checks.local_days import HOUR
from gateway.checks.metered import METERED, Meter, judged_channel
from gateway.checks.nights import LEAK, LeakSettings
from gateway.checks.reversals import (
    BACKFLOW,
    REVERSE,
    BackflowSettings,
    ReverseEnergySettings,
)
from gateway.checks.series import Series, SeriesCheck
from gateway.checks.stands import STUCK, ZERO, StuckSettings, ZeroSettings
from gateway.checks.turns import Turns
from gateway.checks.use import DOWN, Use

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from gateway.checks.bound import Bound, Track
    from gateway.checks.series import Run
    from gateway.records import Flag, Reading

_SETTINGS: Final[dict[str, type[BaseModel]]] = {
    SPIKE: SpikeSettings,
    STUCK: StuckSettings,
    ZERO: ZeroSettings,
    DROP: DropSettings,
    LEAK: LeakSettings,
    BURST: BurstSettings,
    BACKFLOW: BackflowSettings,
    REVERSE: ReverseEnergySettings,
}
_MEMORY: Final = "use"
_NEAR: Final = 24 * HOUR
_AN_HOUR: Final = HOUR - HOUR // 20
"""Clocks are not exact: what is sent every hour is an hour apart, give or take three minutes."""


def _first(code: str) -> Callable[[Bound], SeriesCheck | None]:
    """Makes the pass where ``code`` is the first of those that are on."""

    def make(bound: Bound) -> SeriesCheck | None:
        kind, off = bound.layout.kind, bound.settings.off
        what = METERED.get(kind)
        if what is None or what.register not in bound.layout.names:
            return None
        on = [one for one in _SETTINGS if one not in off and CATALOGUE[one].applies_to(kind)]
        if not on or on[0] != code:
            return None
        return SeriesCheck(_MEMORY, Use, True, _pass(Meter(bound)), judged_channel)

    return make


def _pass(meter: Meter) -> Run:  # noqa: C901 - one function, not five: see compile_run
    turns = Turns(meter)
    stands, leaks, reversals = turns.stands, turns.leaks, turns.reversals
    register, rate_at, reverse_at = meter.register, meter.rate, meter.reverse
    nights = leaks.on
    least = stands.least

    def run(  # noqa: C901, PLR0917
        use: Use, track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]
    ) -> None:
        values: tuple[Any, ...] = reading.values
        value = values[register]
        if value is None or late:
            return
        step: float = value - use.value
        if (
            step < 0.0
            or at >= use.day_end
            or step * HOUR > use.usual * (at - use.at)
            or use.suspect is not None
            or use.unsettled
            or reading.measured_at != at
        ):
            told = turns.take(use, track, reading, at, flags)
            if told is None:
                return
            step = told
        elif step:
            use.usual *= DOWN
        shown = None if rate_at is None else values[rate_at]
        if step > 0.0:
            stood = at - use.moved_at
            if stood > use.pause * HOUR or use.standing is not None:
                stands.moved(use, at, flags)
            use.moved_at = at
            use.today += step
            use.moves += 1
            use.value = value
        else:
            if shown is not None and shown > least:
                stands.flowed(use, reading, shown, at, flags)
            if at - use.moved_at > _NEAR:
                stands.stood(use, reading, at, flags, shown=shown is not None)
        if reverse_at is not None:
            back = values[reverse_at]
            if back is not None and back != use.reverse:
                reversals.changed(use, reading, back, at, flags)
        use.at = at
        use.offset = reading.ledger_offset
        if nights and at - use.window_at >= _AN_HOUR:
            leaks.hour(use, at)

    return run


CONSUMPTION: Final = tuple(
    Series(code, settings, _first(code)) for code, settings in _SETTINGS.items()
)
