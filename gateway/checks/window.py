"""The readings of a stream that are remembered to recognise a redelivery.

An entry is remembered while its ledger offset is within ``SPAN`` messages of the newest, or while
it is among the last ``LAST`` of its stream.  All streams together therefore hold at most
``LAST`` x streams + ``SPAN`` entries that count, whatever the mix of devices; entries that no
longer count may stay in memory for a while (at most ``SLACK`` a stream, and one more ``SPAN``)
but are never found, so that when they are dropped changes no result.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from heapq import nlargest
from typing import NamedTuple

SPAN = 2 * 65_536
"""Twice what one MQTT session may leave unacknowledged: a broker that sends all of it again after a
break, receive maximum or not (Mosquitto 2.0 sends up to its own ``max_inflight_messages``), sends
nothing that has been forgotten."""
LAST = 16
SLACK = 24
_LIMIT = LAST + SLACK


class Entry(NamedTuple):
    """One remembered reading: CRC-32 of its content, its times and its place in the ledger."""

    fingerprint: int
    measured_at: int
    ledger_offset: int


class Window:
    """Remembered readings of one stream in columns, sorted by key (28 bytes an entry)."""

    __slots__ = ("crowded", "fingerprints", "keys", "limit", "measured", "offsets", "ordered")

    def __init__(self) -> None:
        self.keys = array("q")
        self.measured = array("q")
        self.fingerprints = array("I")
        self.offsets = array("q")
        self.limit = _LIMIT
        self.ordered = True
        self.crowded = False

    def find(self, key: int, newest: int) -> list[Entry]:
        """Entries under ``key`` that still count when ``newest`` is the newest ledger offset."""
        keys = self.keys
        first = bisect_left(keys, key)
        if first == len(keys) or keys[first] != key:
            return []
        return [
            Entry(self.fingerprints[i], self.measured[i], self.offsets[i])
            for i in range(first, bisect_right(keys, key))
            if self._counts(i, newest)
        ]

    def recognise(self, key: int, fingerprint: int, newest: int) -> bool:
        """Whether this content is known under ``key``.

        It then counts from ``newest`` on, so that what a broker sends again at each of many breaks
        is recognised every time.
        """
        first = bisect_left(self.keys, key)
        for i in range(first, bisect_right(self.keys, key)):
            if self.fingerprints[i] == fingerprint and self._counts(i, newest):
                self.offsets[i] = newest
                self.ordered = self.ordered and i == len(self.keys) - 1
                return True
        return False

    def insert(self, key: int, measured_at: int, fingerprint: int, offset: int) -> None:
        """Remembers an entry whose key is not the highest."""
        place = bisect_right(self.keys, key)
        self.ordered = self.ordered and place == len(self.keys)
        self.keys.insert(place, key)
        self.measured.insert(place, measured_at)
        self.fingerprints.insert(place, fingerprint)
        self.offsets.insert(place, offset)

    def trim(self, newest: int) -> None:
        """Drops what no longer counts."""
        floor = self._floor(newest)
        columns = (self.keys, self.measured, self.fingerprints, self.offsets)
        if self.ordered:
            cut = bisect_left(self.offsets, floor)
            for column in columns:
                del column[:cut]
        else:
            kept = [i for i, offset in enumerate(self.offsets) if offset >= floor]
            for column in columns:
                column[:] = array(column.typecode, [column[i] for i in kept])
            self.ordered = all(a <= b for a, b in zip(self.offsets, self.offsets[1:], strict=False))
        self.limit = max(_LIMIT, 2 * len(self.keys))

    def _counts(self, i: int, newest: int) -> bool:
        offset = self.offsets[i]
        return offset >= newest - SPAN or offset >= self._last()

    def _last(self) -> int:
        """The offset of the ``LAST`` newest entry."""
        offsets = self.offsets
        if len(offsets) <= LAST:
            return -(2**62)
        return offsets[-LAST] if self.ordered else nlargest(LAST, offsets)[-1]

    def _floor(self, newest: int) -> int:
        return min(self._last(), newest - SPAN)

    def pack(self, newest: int) -> list[bytes]:
        """What counts, as little-endian columns; reads only."""
        floor = self._floor(newest)
        columns = (self.keys, self.measured, self.fingerprints, self.offsets)
        if self.ordered:
            cut = bisect_left(self.offsets, floor)
            return [_little(column[cut:]).tobytes() for column in columns]
        kept = [i for i, offset in enumerate(self.offsets) if offset >= floor]
        return [_little(array(c.typecode, [c[i] for i in kept])).tobytes() for c in columns]

    @classmethod
    def unpack(cls, columns: list[bytes]) -> Window:
        """The inverse of ``pack``."""
        window = cls()
        own = (window.keys, window.measured, window.fingerprints, window.offsets)
        for column, packed in zip(own, columns, strict=True):
            filled = array(column.typecode)
            filled.frombytes(packed)
            column.extend(_little(filled))
        window.ordered = all(
            a <= b for a, b in zip(window.offsets, window.offsets[1:], strict=False)
        )
        window.limit = max(_LIMIT, 2 * len(window.keys))
        return window


def _little(column: array[int]) -> array[int]:
    if sys.byteorder == "big":
        column.byteswap()
    return column


class Memory:
    """Keeps all windows together within their bound."""

    def __init__(self) -> None:
        self._crowded: list[Window] = []
        self._swept = 0

    def trim(self, window: Window, newest: int) -> None:
        """Trims a window that reached its limit, and now and then those that fell silent."""
        window.trim(newest)
        self.watch(window)
        if newest - self._swept >= SPAN // 4:
            self._swept = newest
            for crowded in self._crowded:
                crowded.trim(newest)
                crowded.crowded = len(crowded.keys) > _LIMIT
            self._crowded = [w for w in self._crowded if w.crowded]

    def watch(self, window: Window) -> None:
        """Remembers a window that holds more than its share."""
        if not window.crowded and len(window.keys) > _LIMIT:
            window.crowded = True
            self._crowded.append(window)
