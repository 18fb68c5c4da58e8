"""Trips of one taximeter, sessions of one connector: one ends before the next begins.

``trip_overlap`` (JJG 517-2016) and ``session_overlap`` (JJG 1148, JJG 1149).  Two that overlap by
more than the tolerance cannot both have been measured by this instrument.  Judged in the order of
their ends; one that comes late is compared with its neighbours that are still remembered.
"""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.checks.findings import finding
from gateway.checks.parameters import NotNegative, Settings
from gateway.checks.series import Series, SeriesCheck
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.records import Flag, Reading

_REMEMBERED = 16
_SECOND = 10**9


class OverlapSettings(Settings):
    """Seconds by which two trips or sessions may overlap: the step of the clock that is shown."""

    tolerance: NotNegative = 1.0


class Span(msgspec.Struct, array_like=True, order=True):
    """When something began and ended, its number, and where it lies in the ledger."""

    ended_at: int
    started_at: int
    sequence: int
    ledger_offset: int


class Spans(msgspec.Struct, array_like=True):
    """The latest spans, by their end."""

    spans: list[Span] = []


def _trips(bound: Bound) -> SeriesCheck | None:
    return _overlap(bound, "trip_overlap", "trip", per_channel=False)


def _sessions(bound: Bound) -> SeriesCheck | None:
    return _overlap(bound, "session_overlap", "session", per_channel=True)


def _overlap(bound: Bound, code: str, event: str, *, per_channel: bool) -> SeriesCheck | None:
    names = bound.layout.names
    if bound.layout.event != event or not {"started_at", "ended_at"} <= set(names):
        return None
    at_start, at_end = names.index("started_at"), names.index("ended_at")
    tolerance = round(bound.settings.of(code, OverlapSettings).tolerance * _SECOND)

    def run(
        memory: Spans, _track: Track, reading: Reading, _at: int, late: bool, flags: list[Flag]
    ) -> None:
        started, ended = reading.values[at_start], reading.values[at_end]
        if not isinstance(started, int) or not isinstance(ended, int) or ended < started:
            bound.not_judged(code, "no beginning and end")
            return
        now = Span(ended, started, reading.sequence or 0, reading.ledger_offset)
        for other in memory.spans:
            overlap = min(ended, other.ended_at) - max(started, other.started_at)
            if overlap > tolerance:
                flag = _flag(reading, code, now, other, tolerance=tolerance, late=late)
                bound.emit(flag, flags)
        insort(memory.spans, now)
        del memory.spans[:-_REMEMBERED]

    return SeriesCheck(code, Spans, per_channel, run)


def _flag(
    reading: Reading, code: str, now: Span, other: Span, *, tolerance: int, late: bool
) -> Flag:
    later, earlier = max(now, other), min(now, other)
    since, until = max(now.started_at, other.started_at), min(now.ended_at, other.ended_at)
    return finding(
        reading,
        code,
        {
            "observed": (until - since) / _SECOND,
            "expected": 0.0,
            "tolerance": tolerance / _SECOND,
            "unit": "s",
            "formula": "min(ended_at, other.ended_at) - max(started_at, other.started_at)",
            "inputs": {
                "started_at": rfc3339(later.started_at),
                "ended_at": rfc3339(later.ended_at),
                "sequence": later.sequence,
                "other_started_at": rfc3339(earlier.started_at),
                "other_ended_at": rfc3339(earlier.ended_at),
                "other_sequence": earlier.sequence,
                "other_ledger_offset": earlier.ledger_offset,
            },
            "judged_late": late,
        },
        occasion=f"{later.sequence}@{later.ended_at} {earlier.sequence}@{earlier.ended_at}",
        channel=reading.channel,
        since=since,
        until=until,
    )


TRIP_OVERLAP: Final = Series("trip_overlap", OverlapSettings, _trips)
SESSION_OVERLAP: Final = Series("session_overlap", OverlapSettings, _sessions)
