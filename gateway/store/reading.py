"""Questions to a store that only read, over whatever brings the rows of its tables."""
# ruff: noqa: S608 - what is put into statements is our own names; users' values are parameters

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.errors import StoreError
from gateway.quantities import KINDS
from gateway.records import Counters
from gateway.store import Tail, rows, schema

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from gateway.records import Flag, Reading
    from gateway.store import DeviceSummary, QuarantinedRow

_PAGE: Final = 2048
_FLAGS: Final = 16_384


class StoreReader(ABC):
    """The questions that can be asked of a store; `DuckDBStore` and `AskedStore` answer them."""

    @property
    @abstractmethod
    def position(self) -> int:
        """The position of the last reading; 0 when there is none."""

    @abstractmethod
    def _all(
        self, sql: str, parameters: Sequence[Any] = (), chosen: Sequence[str] | None = None
    ) -> list[tuple[Any, ...]]:
        """The rows of a question that gives few; see `ask`."""

    @abstractmethod
    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a question, streamed where that can be."""

    @abstractmethod
    def close(self) -> None:
        """Gives the store back; safe to call twice."""

    def counters(self) -> Counters:
        """Totals of the last commit."""
        ((counters,),) = self._all("SELECT counters FROM checkpoint")
        return msgspec.json.decode(counters, type=Counters)

    def readings(
        self,
        *,
        kind: str | None = None,
        device_id: str | None = None,
        since: int | None = None,
        until: int | None = None,
        after: int = 0,
    ) -> Iterator[Reading]:
        """Readings by position, those behind ``after``; bounds apply to ``measured_at``.

        Raises:
            StoreError: no such kind.
        """
        if kind is not None and kind not in KINDS:
            raise StoreError(f"store: kind {kind!r} is none of {', '.join(KINDS)}")
        conditions = {
            # What is committed while this runs would show in some tables and not in others.
            "position <= ?": self.position,
            "device_id = ?": device_id,
            rows.time_bound("measured_at", ">="): since,
            rows.time_bound("measured_at", "<"): until,
        }
        kinds = KINDS if kind is None else [kind]
        streams = [self._stream(each, after, conditions) for each in kinds]
        return (reading for _, reading in heapq.merge(*streams, key=_by_position))

    def _stream(
        self, kind: str, after: int, conditions: dict[str, Any]
    ) -> Iterator[tuple[int, Reading]]:
        """Readings of one kind, a page at a time.

        One long query would be simpler, but while it is open DuckDB cannot fold its log into the
        file: a slow reader would let the log grow without bound.
        """
        while True:
            clause, parameters = rows.where({"position > ?": after} | conditions)
            # Rows come in the order of insertion, which is that of the positions.
            found = self._all(
                f"SELECT {schema.selected(kind)} FROM {schema.table(kind)}{clause} LIMIT {_PAGE}",
                parameters,
            )
            yield from rows.readings(kind, found)
            if len(found) < _PAGE:
                return
            after = found[-1][0]

    def tail(self, after: int, limit: int = 5000) -> Tail:
        """At most ``limit`` readings behind the position ``after``, and the position reached."""
        last = min(after + limit, self.position)
        if last <= after:
            return Tail([], after)
        found = [
            item for kind in KINDS for item in self._stream(kind, after, {"position <= ?": last})
        ]
        found.sort(key=_by_position)
        return Tail([reading for _, reading in found], last)

    def flags(
        self,
        *,
        code: str | None = None,
        device_id: str | None = None,
        kind: str | None = None,
        since: int | None = None,
        until: int | None = None,
        withdrawn: bool = False,
        severity: str | None = None,
        ids: Collection[str] | None = None,
        newest_first: bool = False,
    ) -> Iterator[Flag]:
        """Flags whose span touches [since, until), by ledger offset and id.

        Args:
            code: only this one; so for the device, the kind and the severity.
            device_id: see there.
            kind: see there.
            since: ns, included.
            until: ns, not included.
            withdrawn: also those that are withdrawn.
            severity: see there.
            ids: only these flags.
            newest_first: by ``since``, the latest first, and id instead.
        """
        clause, parameters = rows.where(
            {
                "id IN (SELECT unnest(?::VARCHAR[]))": None if ids is None else list(ids),
                "severity = ?": severity,
                "code = ?": code,
                "device_id = ?": device_id,
                "kind = ?": kind,
                rows.time_bound("until", ">="): since,
                rows.time_bound("since", "<"): until,
                "status <> ?": None if withdrawn else "withdrawn",
            }
        )
        order = "flags.since DESC, id" if newest_first else "ledger_offset, id"
        # Only what it takes to sort is sorted: DuckDB has no memory for tens of thousands whole.
        found = self._rows(f"SELECT id FROM flags{clause} ORDER BY {order}", parameters)
        return self._flags_of(key for (key,) in found)

    def _flags_of(self, ids: Iterator[str]) -> Iterator[Flag]:
        sql = f"SELECT {rows.FLAG_COLUMNS} FROM flags WHERE id IN (SELECT unnest(?::VARCHAR[]))"
        while some := list(islice(ids, _FLAGS)):
            by_id = {flag.id: flag for flag in map(rows.flag, self._all(sql, [some]))}
            yield from (by_id[key] for key in some if key in by_id)

    def ask(
        self, sql: str, parameters: Sequence[Any] = (), chosen: Sequence[str] | None = None
    ) -> list[tuple[Any, ...]]:
        """The rows of a question in SQL over the tables of `schema`, for reports.

        Args:
            sql: one statement that reads; what users say is only ever among its parameters.
            parameters: of its question marks.
            chosen: many texts, such as the ids of a district's devices; the statement has them as
                the table ``chosen`` with one column ``value``, which is five times as fast as a
                parameter where they are a hundred thousand.

        Raises:
            StoreError: the database refuses.
        """
        return self._all(sql, parameters, chosen)

    def quarantine(
        self, *, stage: str | None = None, reason: str | None = None, device_id: str | None = None
    ) -> Iterator[QuarantinedRow]:
        """Rows of quarantine in the order in which they came there."""
        clause, parameters = rows.where(
            {"stage = ?": stage, "reason = ?": reason, "device_id = ?": device_id}
        )
        sql = f"SELECT {rows.QUARANTINE_COLUMNS} FROM quarantine{clause}"
        return map(rows.quarantined, self._rows(sql, parameters))

    def devices(self) -> Iterator[DeviceSummary]:
        """Every device with a reading or a flag, by device id and kind."""
        return map(rows.device, self._rows(rows.DEVICES))

    def currencies(self) -> dict[str, list[str]]:
        """The kinds that have readings, each with the currencies its readings carry."""
        found = {}
        for kind in KINDS:
            of_kind = self._all(f"SELECT DISTINCT currency FROM {schema.table(kind)}")
            if of_kind:
                found[kind] = sorted(currency for (currency,) in of_kind if currency)
        return found


def _by_position(item: tuple[int, Reading]) -> int:
    return item[0]
