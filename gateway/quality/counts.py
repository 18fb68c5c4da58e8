"""Counts of one day, device by device, by SQL over the store.

Nothing is kept: counts are a function of store, registry and people's dismissals, so that they are
right after a reprocess without anything to be invalidated.
"""
# ruff: noqa: S608 - what is put into statements is our own names; users' values are parameters

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.devices import LATEST
from gateway.devices import since as begin_of
from gateway.quality.dimensions import (
    ACCURACY,
    CONSISTENCY,
    GAPS,
    LASTING,
    OF_CODE,
    TRACEABILITY,
    Counts,
)
from gateway.quantities import KINDS
from gateway.store.schema import table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from gateway.devices import Registry
    from gateway.store.reading import StoreReader

DAY: Final = 86_400 * 10**9
HISTORY: Final = 7
"""Days before a day from which a device's own rhythm is taken."""
LEAST_HISTORY: Final = 3
"""Of them at least so many must have readings."""
EARLY: Final = 60 * 10**9
"""A reading measured later than this after its receipt is ahead of time; as `future_timestamp`."""
MOST_MISSING: Final = 10
"""A device misses at most so many times the readings that it sent, where no day before tells."""
MOST_A_DAY: Final = 86_400
"""Nor more than one a second, where it sent nothing."""
WORDS: Final = ("raw", "valid", "questionable", "estimated", "derived")

_CONDITIONS: Final = ", ".join(f"'{code}'" for code in sorted(LASTING))
REACH: Final = (
    f"CASE WHEN status = 'open' AND code IN ({_CONDITIONS}) AND (evidence->'$.count') IS NOT NULL "
    f"THEN {LATEST} ELSE epoch_ns(until) END"
)
"""Up to when a flag is of readings, in SQL over ``flags``: a condition that stands has no end."""

Span = tuple[int, int]
Key = tuple[str | None, str | None]
"""Device and kind; both None for messages of which the device is not known."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What is counted over.

    ``on_time`` is the delay in ns after which a reading is late.  ``dismissed`` are flags that do
    not count, since people said that nothing is wrong.  ``device_id`` narrows to one device, and
    ``kinds`` to those that it has readings of.
    ``registry_known`` is whether a device that is not registered should be; None: where any is.
    """

    on_time: int = 600 * 10**9
    dismissed: frozenset[str] = frozenset()
    device_id: str | None = None
    kinds: tuple[str, ...] = tuple(KINDS)
    registry_known: bool | None = None


class DeviceDay(msgspec.Struct):
    """One device on one day; ``profile`` is that of its last message."""

    counts: Counts
    profile: str | None = None
    periodic: int = 0
    numbered: bool = False


class Day:
    """Counts the day [``begin``, ``end``).

    Args:
        store: with its readings, flags and quarantine.
        begin: ns, included.
        end: ns, not included.
        clock: the latest time of receipt in the store: what is after it cannot be missing yet.
        devices: the registry; without any device, and where ``terms`` do not say otherwise,
            nothing is said of traceability.
        terms: what is counted over.
    """

    def __init__(
        self,
        store: StoreReader,
        begin: int,
        end: int,
        *,
        clock: int,
        devices: Registry,
        terms: Terms,
    ) -> None:
        self._store, self._begin, self._end = store, begin, end
        self._clock, self._devices, self._terms = clock, devices, terms
        self._rows: dict[Key, DeviceDay] = {}

    def counted(self) -> dict[Key, DeviceDay]:
        """Every device with readings, with readings that were expected, or in quarantine."""
        for kind in self._terms.kinds:
            self._readings(kind)
        covered = [(kind, *row) for kind in self._terms.kinds for row in self._covered(kind)]
        missing = self._gaps()
        quarantined = self._quarantine()
        usual = {key: often for kind in self._terms.kinds for key, often in self._usual(kind)}
        a_message = self._readings_a_message({*missing, *quarantined})
        for kind, device_id, inaccurate, inconsistent, out_of_range, duplicates, _ in covered:
            counts = self._rows[device_id, kind].counts
            counts.inaccurate += inaccurate
            counts.inconsistent += inconsistent
            counts.out_of_range += out_of_range
            counts.duplicates += duplicates
        self._complete(missing, usual, a_message)
        for device_id, messages in quarantined.items():
            counts = self._row_of(device_id).counts
            counts.quarantined += messages
            counts.quarantined_readings += round(messages * a_message.get(device_id, 1.0))
        untraced = {(device_id, kind): broken for kind, device_id, *_, broken in covered}
        known = self._terms.registry_known
        if bool(self._devices) if known is None else known:
            self._traced(untraced)
        return self._rows

    def _within(self, column: str) -> str:
        return f"{column} >= make_timestamp_ns(?) AND {column} < make_timestamp_ns(?)"

    def _only(self, column: str = "device_id") -> tuple[str, list[Any]]:
        """A condition for the one device that is asked for."""
        if self._terms.device_id is None:
            return "", []
        return f" AND {column} = ?", [self._terms.device_id]

    def _readings(self, kind: str) -> None:
        words = ", ".join(f"count_if(quality = '{word}')" for word in WORDS)
        only, parameters = self._only()
        for (
            device_id, readings, periodic, numbered, late, early, profile, *by_word,
        ) in self._store.ask(
            "SELECT device_id, count(*), count_if(event = 'periodic'), count(sequence) > 0, "
            "count_if(epoch_ns(received_at) - epoch_ns(measured_at) > ?), "
            "count_if(epoch_ns(measured_at) - epoch_ns(received_at) > ?), "
            f"arg_max(profile, ledger_offset), {words} "
            f"FROM {table(kind)} WHERE {self._within('measured_at')}{only} GROUP BY device_id",
            [self._terms.on_time, EARLY, self._begin, self._end, *parameters],
        ):  # fmt: skip
            counts = Counts(devices=1, readings=readings, late=late, early=early)
            for word, count in zip(WORDS, by_word, strict=True):
                setattr(counts, word, count)
            counts.inaccurate = counts.questionable
            self._rows[device_id, kind] = DeviceDay(counts, profile, periodic, numbered)

    def _covered(self, kind: str) -> list[tuple[Any, ...]]:
        """By device: readings that flags make inaccurate, inconsistent, and so on, untraced last.

        A flag is of the readings of its device (and channel) within its span; `REACH`.
        """
        only, parameters = self._only()
        return self._store.ask(
            f"WITH f AS (SELECT device_id, channel, code, epoch_ns(since) AS since, {REACH} "
            "AS until FROM flags WHERE kind = ? AND status <> 'withdrawn' "
            "AND code IN (SELECT unnest(?::VARCHAR[])) AND id NOT IN (SELECT unnest(?::VARCHAR[])) "
            f"AND since < make_timestamp_ns(?) AND {REACH} >= ?{only}), "
            "c AS (SELECT r.device_id, r.quality = 'questionable' AS told, "
            "bool_or(f.code IN (SELECT unnest(?::VARCHAR[]))) AS wrong, "
            "bool_or(f.code IN (SELECT unnest(?::VARCHAR[]))) AS inconsistent, "
            "bool_or(f.code = 'value_out_of_range') AS out_of_range, "
            "bool_or(f.code = 'conflicting_duplicate') AS duplicate, "
            "bool_or(f.code IN (SELECT unnest(?::VARCHAR[]))) AS untraced "
            f"FROM {table(kind)} r JOIN f ON r.device_id = f.device_id "
            "AND (f.channel IS NULL OR f.channel = r.channel) "
            "AND epoch_ns(r.measured_at) BETWEEN f.since AND f.until "
            f"WHERE {self._within('r.measured_at')} GROUP BY r.position, r.device_id, r.quality) "
            "SELECT device_id, count_if(wrong AND NOT told), count_if(inconsistent), "
            "count_if(out_of_range), count_if(duplicate), count_if(untraced) FROM c "
            "GROUP BY device_id",
            [
                kind, sorted(OF_CODE), sorted(self._terms.dismissed), self._end,
                self._begin, *parameters, sorted(ACCURACY), sorted(CONSISTENCY),
                sorted(TRACEABILITY), self._begin, self._end,
            ],
        )  # fmt: skip

    def _gaps(self) -> dict[str, float]:
        """Messages whose numbers are missing, by device; a gap of several days is spread evenly."""
        only, parameters = self._only()
        found: dict[str, float] = {}
        for device_id, since, until, missing in self._store.ask(
            "SELECT device_id, epoch_ns(since), epoch_ns(until), "
            "CAST(evidence->>'$.missing' AS DOUBLE) FROM flags WHERE code = ? "
            "AND status <> 'withdrawn' AND (evidence->'$.missing') IS NOT NULL "
            "AND id NOT IN (SELECT unnest(?::VARCHAR[])) "
            f"AND since < make_timestamp_ns(?) AND until >= make_timestamp_ns(?){only}",
            [GAPS, sorted(self._terms.dismissed), self._end, self._begin, *parameters],
        ):
            lasts = until - since
            inside = min(until, self._end) - max(since, self._begin)
            share = inside / lasts if lasts > 0 else 1.0
            found[device_id] = found.get(device_id, 0.0) + missing * share
        return found

    def _quarantine(self) -> dict[str | None, int]:
        """Messages in quarantine by device, by their time of receipt."""
        only, parameters = self._only()
        rows = self._store.ask(
            "SELECT device_id, count(*) FROM quarantine WHERE stage NOT LIKE 'sink:%' "
            f"AND {self._within('received_at')}{only} GROUP BY device_id",
            [self._begin, self._end, *parameters],
        )
        return dict(rows)

    def _usual(self, kind: str) -> Iterable[tuple[Key, float]]:
        """Periodic readings that a device has on a day: the median of the days before."""
        only, parameters = self._only()
        rows = self._store.ask(
            "SELECT device_id, median(n) FROM (SELECT device_id, "
            f"(epoch_ns(measured_at) - ?) // {DAY} AS day, count(*) AS n FROM {table(kind)} "
            f"WHERE event = 'periodic' AND {self._within('measured_at')}{only} GROUP BY ALL) "
            f"GROUP BY device_id HAVING count(*) >= {LEAST_HISTORY}",
            [
                self._begin - HISTORY * DAY, self._begin - HISTORY * DAY, self._begin, *parameters,
            ],
        )  # fmt: skip
        return [((device_id, kind), often) for device_id, often in rows]

    def _readings_a_message(self, devices: Collection[str | None]) -> dict[str | None, float]:
        """How many readings a message of these devices has, on this day."""
        wanted = sorted(device_id for device_id in devices if device_id is not None)
        if not wanted:
            return {}
        every = " UNION ALL ".join(
            f"SELECT device_id, ledger_offset FROM {table(kind)} "
            f"WHERE {self._within('measured_at')} AND device_id IN (SELECT unnest(?::VARCHAR[]))"
            for kind in self._terms.kinds
        )
        rows = self._store.ask(
            f"SELECT device_id, count(*) / count(DISTINCT ledger_offset) FROM ({every}) "
            "GROUP BY device_id",
            [self._begin, self._end, wanted] * len(self._terms.kinds),
        )
        return dict(rows)

    def _row_of(self, device_id: str | None) -> DeviceDay:
        """The row of a device of which the kind is not told."""
        kind = next((kind for kind in self._terms.kinds if (device_id, kind) in self._rows), None)
        if kind is None:
            device = None if device_id is None else self._devices.get(device_id)
            kind = None if device is None else device.kind
        counts = Counts(devices=0 if device_id is None else 1)
        return self._rows.setdefault((device_id, kind), DeviceDay(counts))

    def _complete(
        self,
        missing: dict[str, float],
        usual: dict[Key, float],
        a_message: dict[str | None, float],
    ) -> None:
        """What should have come: by the device's own rhythm, and by the missing numbers."""
        passed = max(0, min(self._end, self._clock) - self._begin) / (self._end - self._begin)
        for key, often in usual.items():
            if round(often * passed) and key not in self._rows:
                self._rows[key] = DeviceDay(Counts(devices=1))
        for device_id in missing:
            self._row_of(device_id).numbered = True
        left = dict(missing)
        for key, row in self._rows.items():
            of_a_message = a_message.get(key[0], 1.0)
            numbers = left.pop(key[0], 0.0) if key[0] is not None else 0.0
            most = usual.get(key, MOST_MISSING * row.counts.readings or MOST_A_DAY)
            by_number = round(min(numbers * of_a_message, most))
            by_rhythm = 0
            if key in usual:
                by_rhythm = max(0, round(usual[key] * passed) - row.periodic)
            elif not row.numbered and not numbers:
                continue
            row.counts.assessed = row.counts.readings
            row.counts.missing = max(by_number, by_rhythm)
            row.counts.missing_numbers = round(by_number / of_a_message)

    def _traced(self, untraced: dict[Key, int]) -> None:
        """Readings measured while their device was registered, and its certificate valid."""
        for name, spans_of in (("registered", self._registered), ("verified", self._verified)):
            partly: list[tuple[str, Span]] = []
            for (device_id, _), row in self._rows.items():
                if device_id is None or not row.counts.readings:
                    continue
                row.counts.traced = row.counts.readings
                spans = spans_of(device_id)
                if spans == [(self._begin, self._end)]:
                    setattr(row.counts, name, row.counts.readings)
                else:
                    partly += [(device_id, span) for span in spans]
            for key, count in self._measured_in(partly).items():
                setattr(self._rows[key].counts, name, count)
        for key, broken in untraced.items():
            counts = self._rows[key].counts
            counts.verified = max(0, counts.verified - broken)

    def _registered(self, device_id: str) -> list[Span]:
        versions = self._devices.versions(device_id)
        return self._clipped([(begin_of(versions[0]), self._end)]) if versions else []

    def _verified(self, device_id: str) -> list[Span]:
        versions = self._devices.versions(device_id)
        begins = [*(begin_of(version) for version in versions), self._end]
        spans = []
        for version, begin, end in zip(versions, begins, begins[1:], strict=False):
            if version.verified_until is not None:
                first = begin if version.verified_at is None else max(begin, version.verified_at)
                spans.append((first, min(end, version.verified_until + 1)))
        return self._clipped(spans)

    def _clipped(self, spans: Iterable[Span]) -> list[Span]:
        """Spans within the day, in order; those that touch are one."""
        made: list[Span] = []
        for begin, end in spans:
            first, last = max(begin, self._begin), min(end, self._end)
            if first >= last:
                continue
            if made and made[-1][1] == first:
                made[-1] = made[-1][0], last
            else:
                made.append((first, last))
        return made

    def _measured_in(self, spans: Sequence[tuple[str, Span]]) -> dict[Key, int]:
        """Readings of devices that were measured within their spans."""
        if not spans:
            return {}
        devices = [device_id for device_id, _ in spans]
        begins, ends = [span[0] for _, span in spans], [span[1] for _, span in spans]
        found: dict[Key, int] = {}
        for kind in self._terms.kinds:
            rows = self._store.ask(
                f"SELECT r.device_id, count(*) FROM {table(kind)} r JOIN (SELECT "
                "unnest(?::VARCHAR[]) AS device_id, unnest(?::BIGINT[]) AS b, "
                "unnest(?::BIGINT[]) AS e) s ON r.device_id = s.device_id "
                "AND epoch_ns(r.measured_at) >= s.b AND epoch_ns(r.measured_at) < s.e "
                f"WHERE {self._within('r.measured_at')} GROUP BY r.device_id",
                [devices, begins, ends, self._begin, self._end],
            )
            found.update({(device_id, kind): count for device_id, count in rows})
        return found


def latest_receipt(store: StoreReader) -> int | None:
    """The latest time of receipt of a reading, in ns; None of an empty store."""
    every = " UNION ALL ".join(
        f"SELECT max(received_at) AS latest FROM {table(kind)}" for kind in KINDS
    )
    ((latest,),) = store.ask(f"SELECT epoch_ns(max(latest)) FROM ({every})")
    return None if latest is None else int(latest)
