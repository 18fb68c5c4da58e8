"""Every check of a series, by its code: what a layout is offered when its profile is bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.checks.overlaps import session_overlap, trip_overlap

if TYPE_CHECKING:
    from gateway.checks.bound import Bound
    from gateway.checks.series import Make, SeriesCheck

_MAKERS: Final[dict[str, Make]] = {
    "trip_overlap": trip_overlap,
    "session_overlap": session_overlap,
}


def series_checks(bound: Bound) -> tuple[SeriesCheck, ...]:
    """The checks that a layout has the quantities for and its settings leave on."""
    made = (make(bound) for code, make in _MAKERS.items() if code not in bound.settings.off)
    return tuple(check for check in made if check is not None)
