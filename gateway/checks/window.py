"""The readings of a stream that are remembered to recognise a redelivery.

An entry is remembered while its ledger offset is within ``SPAN`` messages of the newest, or while
it is among the last ``LAST`` of its stream.  All streams together therefore hold at most
``LAST`` x streams + ``SPAN`` entries that count, whatever the mix of devices; entries that no
longer count may stay in memory for a while (at most ``SLACK`` a stream, and one more ``SPAN``)
but are never found, so that when they are dropped changes no result.
"""

from __future__ import annotations

from heapq import nlargest
from struct import Struct
from typing import Final, NamedTuple

SPAN: Final = 8 * 65_536
"""Eight times what one MQTT session may leave unacknowledged: a broker sends all of it again after
a break, receive maximum or not (Mosquitto 2.0 up to its own ``max_inflight_messages``), and of
breaks that follow one another the last gets through.  Twenty kills within two minutes on a busy
machine were 333,905 messages from one sight of a message to the next."""
LAST: Final = 16
SLACK: Final = 16

_ENTRY: Final = Struct("<qIqq")
pack_entry: Final = _ENTRY.pack
"""The bytes of an entry: key, fingerprint, measured time, ledger offset."""
SIZE: Final = _ENTRY.size
_KEY, _OFFSET = 0, 3
_LIMIT: Final = (LAST + SLACK) * SIZE
_LOWEST: Final = -(2**63)


class Entry(NamedTuple):
    """One remembered reading: CRC-32 of its content, its times and its place in the ledger."""

    key: int
    fingerprint: int
    measured_at: int
    ledger_offset: int


class Window:
    """Remembered readings of one stream in one piece of memory, sorted by key.

    Attributes:
        entries: bytes of `pack_entry`, one after another.
        highest: the highest key among them.
        limit: how many bytes they may be before `trim`.
        ordered: whether they are sorted by ledger offset, too.
        crowded: whether `Memory` watches it.
    """

    __slots__ = ("crowded", "entries", "highest", "limit", "ordered")

    def __init__(self) -> None:
        self.entries = bytearray()
        self.highest = _LOWEST
        self.limit = _LIMIT
        self.ordered = True
        self.crowded = False

    def __len__(self) -> int:
        return len(self.entries) // SIZE

    @property
    def newest(self) -> int:
        """The highest ledger offset; -1 where nothing is remembered."""
        if not self.entries:
            return -1
        return self._entry(len(self) - 1).ledger_offset if self.ordered else max(self._offsets())

    def find(self, key: int, newest: int) -> list[Entry]:
        """Entries under ``key`` that still count when ``newest`` is the newest ledger offset."""
        return [self._entry(i) for i in self._places(key) if self._counts(i, newest)]

    def recognise(self, key: int, fingerprint: int, newest: int) -> bool:
        """Whether this content is known under ``key``.

        It then counts from ``newest`` on, so that what a broker sends again at each of many breaks
        is recognised every time.
        """
        for i in self._places(key):
            entry = self._entry(i)
            if entry.fingerprint == fingerprint and self._counts(i, newest):
                again = pack_entry(key, fingerprint, entry.measured_at, newest)
                self.entries[i * SIZE : (i + 1) * SIZE] = again
                self.ordered = self.ordered and i == len(self) - 1
                return True
        return False

    def ahead(self, key: int, measured_at: int) -> int:
        """By how much a reading is earlier than the one of the highest key, ns, at least 1.

        For a clock that is wrong but goes: of a late reading only the number tells that it is late.
        """
        if key >= self.highest or not self.entries:
            return 1
        return max(1, self._entry(len(self) - 1).measured_at - measured_at)

    def insert(self, key: int, measured_at: int, fingerprint: int, offset: int) -> None:
        """Remembers an entry whose key is not the highest."""
        place = self._first(_KEY, key + 1)
        self.ordered = self.ordered and place == len(self)
        self.entries[place * SIZE : place * SIZE] = pack_entry(
            key, fingerprint, measured_at, offset
        )
        self.highest = max(self.highest, key)

    def trim(self, newest: int) -> None:
        """Drops what no longer counts."""
        floor = self._floor(newest)
        if self.ordered:
            del self.entries[: self._first(_OFFSET, floor) * SIZE]
        else:
            self.entries = bytearray(self._counting(floor))
            offsets = self._offsets()
            self.ordered = offsets == sorted(offsets)
        self.limit = max(_LIMIT, 2 * len(self.entries))

    def _entry(self, i: int) -> Entry:
        return Entry(*_ENTRY.unpack_from(self.entries, i * SIZE))

    def _offsets(self) -> list[int]:
        return [fields[_OFFSET] for fields in _ENTRY.iter_unpack(self.entries)]

    def _first(self, field: int, least: int) -> int:
        """The first entry of which a field, by which they are sorted, is at least so much."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self._entry(middle)[field] < least:
                low = middle + 1
            else:
                high = middle
        return low

    def _places(self, key: int) -> range:
        if key > self.highest:
            return range(0)
        return range(self._first(_KEY, key), self._first(_KEY, key + 1))

    def _counts(self, i: int, newest: int) -> bool:
        offset = self._entry(i).ledger_offset
        return offset >= newest - SPAN or offset >= self._last()

    def _last(self) -> int:
        """The offset of the ``LAST`` newest entry."""
        if len(self) <= LAST:
            return _LOWEST
        if self.ordered:
            return self._entry(len(self) - LAST).ledger_offset
        return nlargest(LAST, self._offsets())[-1]

    def _floor(self, newest: int) -> int:
        return min(self._last(), newest - SPAN)

    def _counting(self, floor: int) -> bytes:
        return b"".join(
            [
                pack_entry(*fields)
                for fields in _ENTRY.iter_unpack(self.entries)
                if fields[_OFFSET] >= floor
            ]
        )

    def pack(self, newest: int) -> bytes:
        """What counts; reads only."""
        floor = self._floor(newest)
        if self.ordered:
            return bytes(self.entries[self._first(_OFFSET, floor) * SIZE :])
        return self._counting(floor)

    @classmethod
    def unpack(cls, packed: bytes) -> Window:
        """The inverse of ``pack``.

        Raises:
            ValueError: the bytes are no whole entries.
        """
        if len(packed) % SIZE:
            raise ValueError(f"a window of {len(packed)} bytes is not whole entries of {SIZE}")
        window = cls()
        window.entries += packed
        window.highest = window._entry(len(window) - 1).key if packed else _LOWEST
        offsets = window._offsets()
        window.ordered = offsets == sorted(offsets)
        window.limit = max(_LIMIT, 2 * len(packed))
        return window


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
                crowded.crowded = len(crowded.entries) > _LIMIT
            self._crowded = [w for w in self._crowded if w.crowded]

    def watch(self, window: Window) -> None:
        """Remembers a window that holds more than its share."""
        if not window.crowded and len(window.entries) > _LIMIT:
            window.crowded = True
            self._crowded.append(window)
