"""Numbers of an instrument's messages: gaps, late arrivals, restarts, readings sent twice.

Numbers are *unwrapped*: a counter that wraps or restarts goes on growing in memory, always
congruent to the number shown.  A number ahead by at most half the modulus is ahead, else it is
late.  A gap is a maximal run of missing numbers, and its flag is identified by the message that
came after the run: whatever the order of arrival, the flags that stay open are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.checks.findings import TOGETHER, finding, occasion_of, one_more, renewed
from gateway.checks.order import NEVER
from gateway.checks.state import Gap, Numbering
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.checks.window import Entry
    from gateway.records import Flag, Reading

OPEN_GAPS = 64
WIDEST = 2**44
"""Numbers are taken modulo at most this, so that unwrapped ones fit 64 bits for ever."""
_CYCLES = 4
_RESTART = 16
_SET = 1_000
_LEAST_NS = 10**8
"""A number ahead by more than `_SET`, and by more than a message each tenth of a second since the
last, was set: no instrument has sent so many messages in between."""


def place(track: Track, reading: Reading, at: int, fingerprint: int, flags: list[Flag]) -> int:
    """The unwrapped number of a reading that is not simply the next one; keeps the gaps.

    ``at`` is the reading's time for ordering.  A redelivered reading gets the number under which
    the window remembers it, and changes nothing.
    """
    bound, numbering = track.bound, track.numbering
    modulus = bound.modulus
    number = (reading.sequence or 0) % modulus
    if numbering.extended < 0:
        _advance(numbering, modulus, number, number, at)
        return number
    ahead = (number - numbering.last) % modulus
    forward = ahead <= modulus // 2
    key = numbering.extended + ahead - (0 if forward else modulus)
    if ahead == 0:
        return key
    for earlier in range(key, key - _CYCLES * modulus, -modulus):
        if track.remembers(earlier, fingerprint, reading.ledger_offset):
            return earlier
    if not forward:
        key = _behind(track, reading, at, key, flags)
    elif bound.layout.measured and at < numbering.restarted_at:
        key -= modulus
        _fill(track, reading, key, flags)
    elif (number <= 1 and ahead > _RESTART) or (
        bound.layout.measured and ahead > _SET and ahead * _LEAST_NS > at - numbering.at
    ):
        key = _restart(track, reading, at, flags)
    else:
        _ahead(track, reading, at, key, flags)
    return key


def _ahead(track: Track, reading: Reading, at: int, key: int, flags: list[Flag]) -> None:
    """A higher number: what it jumped over is missing."""
    bound, numbering = track.bound, track.numbering
    if key > numbering.extended + 1:
        gap = Gap(
            numbering.extended + 1, key - 1, numbering.at, reading.measured_at,
            reading.ledger_offset,
        )  # fmt: skip
        numbering.gaps.append(gap)
        del numbering.gaps[:-OPEN_GAPS]
        _tell(bound, reading, gap, flags)
    _advance(numbering, bound.modulus, key, key % bound.modulus, at)


def conflict(
    track: Track,
    reading: Reading,
    fingerprint: int,
    known: list[Entry],
    flags: list[Flag],
) -> None:
    """Flags a reading whose identity is known with other content."""
    bound, numbering = track.bound, track.numbering
    earliest = min(reading.measured_at, *(entry.measured_at for entry in known))
    numbered = bound.modulus > 0 and reading.sequence is not None
    flag = finding(
        reading,
        "conflicting_duplicate",
        {
            "observed": f"crc32:{fingerprint:08x}",
            "expected": [f"crc32:{entry.fingerprint:08x}" for entry in known],
            "tolerance": 0,
            "unit": "1",
            "sequence": reading.sequence if numbered else None,
            "content": reading.quantities,
            "earlier": [
                {"ledger_offset": entry.ledger_offset, "measured_at": rfc3339(entry.measured_at)}
                for entry in known
            ],
        },
        occasion=f"{reading.sequence if numbered else ''}@{earliest}",
        channel=reading.channel,
        since=earliest,
        until=max(reading.measured_at, *(entry.measured_at for entry in known)),
    )
    bound.emit(flag, flags)
    if numbered and reading.sequence == numbering.suspect_number:
        numbering.suspect_flags = [*numbering.suspect_flags, flag][-_RESTART:]


def _advance(numbering: Numbering, modulus: int, key: int, number: int, at: int) -> None:
    numbering.extended = key
    numbering.last = number
    numbering.following = (number + 1) % modulus
    numbering.at = max(numbering.at, at)


def _behind(track: Track, reading: Reading, at: int, key: int, flags: list[Flag]) -> int:
    """A lower number: late, used twice, or the counter went back to its start."""
    bound, numbering = track.bound, track.numbering
    modulus = bound.modulus
    number = (reading.sequence or 0) % modulus
    missing = any(gap.low <= key <= gap.high for gap in numbering.gaps)
    # The time of receipt, which stands in for that of a clock that is ahead, tells no order.
    ahead = reading.measured_at - reading.received_at > bound.clock_minor
    clock = bound.layout.measured and not ahead
    known = track.window.find(key, reading.ledger_offset)
    # History sent again with other values keeps its times; a counter that restarted does not.
    elsewhere = known and all(entry.measured_at != reading.measured_at for entry in known)
    if (at > numbering.at or elsewhere) and (clock or not missing):
        if number <= 1 and not missing and numbering.extended - key > _RESTART:
            return _restart(track, reading, at, flags)
        if number == (numbering.suspect_number + 1) % modulus and at >= numbering.suspect_at:
            return _restart(track, reading, at, flags)
        if number != numbering.suspect_number:
            numbering.suspect_number = number
            numbering.suspect_flags = []
        numbering.suspect_at = at
    if missing:
        _fill(track, reading, key, flags)
    return key


def _restart(track: Track, reading: Reading, at: int, flags: list[Flag]) -> int:
    """The counter began again: how many messages are missing cannot be said."""
    bound, numbering = track.bound, track.numbering
    modulus = bound.modulus
    number = (reading.sequence or 0) % modulus
    for suspect in numbering.suspect_flags:
        bound.emit(renewed(suspect, {"outcome": "counter restarted"}, status="withdrawn"), flags)
    numbering.restart = one_more(numbering.restart, reading.measured_at) or finding(
        reading,
        "sequence_gap",
        {
            "observed": reading.sequence,
            "expected": numbering.following,
            "tolerance": 0,
            "unit": "1",
            "restarted": True,
            "count": 1,
        },
        occasion=f"restart {occasion_of(reading)}",
        channel=bound.numbered_channel(reading),
        severity="info",
    )
    bound.emit(numbering.restart, flags)
    numbering.suspect_number, numbering.suspect_at, numbering.suspect_flags = -1, NEVER, []
    key = numbering.extended + (number - numbering.last) % modulus
    numbering.restarted_at = at
    if track.line is not None:
        # Two instruments may answer to this name: that a number follows says little for a day.
        track.line.doubts(reading.received_at, TOGETHER)
    _advance(numbering, modulus, key, number, at)
    return key


def _fill(track: Track, reading: Reading, key: int, flags: list[Flag]) -> None:
    """A late message takes its number out of the gap it was missing from."""
    bound, gaps = track.bound, track.numbering.gaps
    index = next((i for i, gap in enumerate(gaps) if gap.low <= key <= gap.high), None)
    if index is None:
        return
    gap = gaps[index]
    below = Gap(gap.low, key - 1, gap.since, reading.measured_at, reading.ledger_offset)
    if key == gap.high:
        _tell(bound, reading, gap, flags, withdrawn=True)
        gaps[index : index + 1] = [below] if below.low <= below.high else []
    else:
        gap.low, gap.since = key + 1, reading.measured_at
        _tell(bound, reading, gap, flags)
        if below.low <= below.high:
            gaps.insert(index, below)
            del gaps[:-OPEN_GAPS]
    if below.low <= below.high:
        _tell(bound, reading, below, flags)


def _tell(
    bound: Bound, reading: Reading, gap: Gap, flags: list[Flag], *, withdrawn: bool = False
) -> None:
    modulus = bound.modulus
    after = (gap.high + 1) % modulus
    since = gap.until if gap.since == NEVER else gap.since
    flag = finding(
        reading,
        "sequence_gap",
        {
            "observed": after,
            "expected": gap.low % modulus,
            "tolerance": 0,
            "unit": "1",
            "missing": 0 if withdrawn else gap.high - gap.low + 1,
            "from": gap.low % modulus,
            "to": gap.high % modulus,
        },
        occasion=f"{after}@{gap.until}",
        channel=bound.numbered_channel(reading),
        since=since,
        until=gap.until,
        ledger_offset=gap.offset,
        status="withdrawn" if withdrawn else "open",
    )
    bound.emit(flag, flags)
