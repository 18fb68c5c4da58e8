"""Readings that are wrong one after another, or every other one: one flag, not one a reading.

An episode begins with a wrong reading and ends after so many right ones in a row.  What is judged
late has an episode of its own, so that a backlog gives one flag and not one a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.checks.findings import renewed
from gateway.checks.lasting import Lasting, begin, end, go_on, stays, waits

if TYPE_CHECKING:
    from gateway.records import Flag, Reading

_APART: Final = 7 * 86_400 * 10**9
_SOLD: Final = frozenset({"transaction", "trip", "session"})
_TOLD_AGAIN: Final = 3_600 * 10**9
"""An episode that grows by this is handed out again, so that its end is known to the hour; to the
sale, trip or session where readings are such."""


class Episode(msgspec.Struct, array_like=True):
    """What goes on now, what late messages have shown of the past, and up to when it was told.

    ``now`` is None while nothing goes on: callers ask that before they call `right`.
    """

    now: Lasting | None = None
    past: Lasting | None = None
    told: int = 0


def wrong(
    episode: Episode, reading: Reading, found: Flag, flags: list[Flag], *, late: bool
) -> None:
    """A reading is wrong.

    Args:
        episode: the memory.
        reading: the wrong one.
        found: what would be flagged were it the first; ``difference`` in its evidence, where there
            is one, gives the ``extreme`` of the episode.
        flags: what is handed out is added to it.
        late: the readings after it were judged already.
    """
    extreme = found.evidence.get("difference")
    first = found if extreme is None else renewed(found, {"extreme": extreme})
    lasting = episode.past if late else episode.now
    flag = None if lasting is None else lasting.flag
    if flag is not None and late:
        near = flag.since - _APART <= reading.measured_at <= flag.until + _APART
        flag = flag if near else None
    if lasting is None or flag is None:
        lasting = Lasting()
        if late:
            episode.past = lasting
        else:
            episode.now = lasting
        begin(lasting, first, flags)
        episode.told = first.until
        return
    stays(lasting)
    if late and found.since < flag.since:
        lasting.flag = msgspec.structs.replace(flag, since=found.since)
    changes: dict[str, Any] = {}
    if extreme is not None and abs(extreme) > abs(flag.evidence["extreme"]):
        changes["extreme"] = extreme
    known = len(flags)
    go_on(lasting, found.until, changes, flags, found.severity)
    now = lasting.flag
    again = 0 if reading.event in _SOLD else _TOLD_AGAIN
    if now is not None and (len(flags) > known or now.until - episode.told >= again):
        episode.told = now.until
        if len(flags) == known:
            flags.append(now)


def right(episode: Episode, reading: Reading, times: int, flags: list[Flag]) -> None:
    """A reading is right; so many in a row end what goes on."""
    if episode.now is not None and not waits(episode.now, reading.measured_at, times):
        over(episode, flags)


def over(episode: Episode, flags: list[Flag]) -> None:
    """What went on has ended."""
    if episode.now is not None:
        end(episode.now, flags)
        episode.now = None
