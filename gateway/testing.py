"""Doubles for tests: a source that is a list, ledger and store in memory, a clock moved by hand.

They keep the same contracts as the real parts and can be made to fail on purpose.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import msgspec

from gateway.errors import StoreError
from gateway.ledger import Pruned
from gateway.records import Batch, Checkpoint, Counters
from gateway.sources import Arrivals
from gateway.store import (
    DeviceSummary,
    FlagStates,
    FlagTail,
    Prepared,
    QuarantinedRow,
    Reprocessing,
    Tail,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence

    from gateway.errors import LedgerError
    from gateway.ledger import LedgerFault
    from gateway.records import Flag, Quarantined, Reading, Results


class ManualClock:
    """A clock in ns UTC that moves only when told; call it to read it.

    Args:
        now: ns since 1970-01-01 UTC.
    """

    def __init__(self, now: int = 1_700_000_000_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        """The present time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on."""
        self.now += round(seconds * 1_000_000_000)


class ListSource:
    """A source that hands over what it is given, and notes what is acknowledged.

    Args:
        arrivals: what comes at once; more with `feed`.
        name: as for any source.
        ends: whether `arrivals` ends after the list; else it waits for more until `close`.
    """

    def __init__(
        self, arrivals: Iterable[Arrivals] = (), *, name: str = "list", ends: bool = True
    ) -> None:
        self.name = name
        self.connected = True
        self.reconnects = 0
        self.last_error: str | None = None
        self.acknowledged: list[Arrivals] = []
        self.published: list[tuple[str, bytes, int, bool]] = []
        self.handed_over = 0
        self._queue: asyncio.Queue[Arrivals | None] = asyncio.Queue()
        for item in arrivals:
            self._queue.put_nowait(item)
        if ends:
            self._queue.put_nowait(None)
        self._closed = asyncio.Event()

    def feed(self, *messages: tuple[str, bytes], received_at: int = 0) -> None:
        """Let these messages arrive together."""
        topics = [topic for topic, _ in messages]
        payloads = [payload for _, payload in messages]
        self._queue.put_nowait(Arrivals(topics, payloads, received_at))

    async def run(self) -> None:
        """Stay connected until `close`."""
        await self._closed.wait()

    async def arrivals(self) -> AsyncIterator[Arrivals]:
        """See `gateway.sources.Source.arrivals`."""
        while (item := await self._queue.get()) is not None:
            self.handed_over += 1
            yield item

    def acknowledge(self, arrivals: Arrivals) -> None:
        """Note that these may be acknowledged."""
        self.acknowledged.append(arrivals)

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False
    ) -> None:
        """Note what was published."""
        self.published.append((topic, payload, qos, retain))

    async def close(self) -> None:
        """End `run` and `arrivals`."""
        self._closed.set()
        self._queue.put_nowait(None)


class MemoryLedger:
    """A ledger without a disk that can be held up and made to fail.

    Attributes:
        gate: `append` waits while this is not set; set at first.
        failure: raised by `append` as long as it is not None.
        attempts: how often `append` was called.
        sizes: the batches' lengths.
    """

    def __init__(self) -> None:
        self.first_offset = 0
        self.next_offset = 0
        self.gate = threading.Event()
        self.gate.set()
        self.failure: LedgerError | None = None
        self.attempts = 0
        self.sizes: list[int] = []
        self.messages: list[tuple[str, bytes, int]] = []
        self.closed = False

    def append(self, batch: Batch) -> int:
        """Take a batch; returns the next offset."""
        self.attempts += 1
        self.gate.wait()
        if self.failure is not None:
            raise self.failure
        rows = zip(batch.topics, batch.payloads, batch.received_at, strict=True)
        self.messages.extend(rows)
        self.sizes.append(len(batch))
        self.next_offset = len(self.messages)
        return self.next_offset

    def read(self, offset: int, max_messages: int = 5000) -> Batch:
        """Messages from ``offset`` on; empty at the end."""
        rows = self.messages[offset : offset + max_messages]
        return Batch(
            [topic for topic, _, _ in rows],
            [payload for _, payload, _ in rows],
            [received_at for _, _, received_at in rows],
            offset,
        )

    def verify(self, progress: Callable[[int, int], None] | None = None) -> Iterator[LedgerFault]:
        """Nothing can be wrong with it."""
        if progress is not None:
            progress(self.next_offset, self.next_offset)
        return iter(())

    def prune(
        self, *, keep_from_offset: int, max_age: int | None = None, max_bytes: int | None = None
    ) -> Pruned:
        """Keep everything, whatever is asked."""
        del keep_from_offset, max_age, max_bytes
        return Pruned(self.first_offset)

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True


class ListStore:
    """A store in memory with the same answers as the embedded one.

    Attributes:
        failure: raised by `commit` and `replace_quarantined` as long as it is not None.
        commits: the results that were committed, in order.
    """

    def __init__(self) -> None:
        self.failure: StoreError | None = None
        self.commits: list[Results] = []
        self.closed = False
        self._readings: list[Reading] = []
        self._flags: dict[str, Flag] = {}
        self._changes: dict[str, int] = {}
        self._quarantine: list[Quarantined] = []
        self._checkpoint = Checkpoint(0, Counters(), 0, None)
        self._sinks: dict[str, int] = {}
        self._retried: list[tuple[int, int]] = []
        self._progress: Reprocessing | None = None

    @property
    def position(self) -> int:
        """The number of readings."""
        return len(self._readings)

    def checkpoint(self) -> Checkpoint:
        """Where processing stands."""
        return self._checkpoint

    def counters(self) -> Counters:
        """Totals of the last commit."""
        return self._checkpoint.counters

    def prepare(self, readings: list[Reading], before: Sequence[Prepared]) -> Prepared:
        """Keep them for the commit."""
        return Prepared(sum(part.count for part in before), len(readings), readings)

    def commit(self, results: Results) -> None:
        """Take all of it, or raise `failure` and take nothing."""
        if self.failure is not None:
            raise self.failure
        if results.next_offset < self._checkpoint.next_offset:
            raise StoreError(f"results up to {results.next_offset} go back")
        self._insert(results)
        taken = (self._checkpoint.snapshot_offset, self._checkpoint.snapshot)
        if results.snapshot is not None:
            taken = (results.next_offset, results.snapshot)
            self._retried = []
        self._checkpoint = Checkpoint(
            results.next_offset, msgspec.structs.replace(results.counters), *taken
        )
        self.commits.append(results)

    def _insert(self, results: Results) -> None:
        for part in results.prepared:
            self._readings += part.held
        self._readings += results.readings
        latest = {flag.id: flag for flag in results.flags}
        for number, flag_id in enumerate(latest, self.change + 1):
            self._changes[flag_id] = number
        self._flags |= latest
        self._quarantine += results.quarantined

    def replace_quarantined(
        self, offsets: Collection[int], results: Results, progress: Reprocessing | None = None
    ) -> None:
        """Put results in the place of quarantine rows."""
        if self.failure is not None:
            raise self.failure
        wanted = set(offsets)
        replaced = [
            row
            for row in self._quarantine
            if row.ledger_offset in wanted and not row.stage.startswith("sink:")
        ]
        if {row.ledger_offset for row in replaced} != wanted:
            raise StoreError("some offsets to replace are not in quarantine")
        self._quarantine = [row for row in self._quarantine if row not in replaced]
        self._insert(results)
        self._checkpoint = msgspec.structs.replace(self._checkpoint, counters=results.counters)
        self._retried += [(offset, self._checkpoint.next_offset) for offset in sorted(wanted)]
        self._progress = progress or self._progress

    def retried(self) -> list[tuple[int, int]]:
        """The messages that were reprocessed since the last snapshot."""
        return list(self._retried)

    def reprocessing(self) -> Reprocessing | None:
        """How far the latest order has come."""
        return self._progress

    @property
    def change(self) -> int:
        """The number of the latest change of a flag."""
        return max(self._changes.values(), default=0)

    def flag_tail(self, after: int, limit: int = 500) -> FlagTail:
        """Flags that have changed since, as they are now."""
        numbers = {number: id_ for id_, number in self._changes.items() if number > after}
        chosen = sorted(numbers)[:limit]
        last = chosen[-1] if chosen else after
        flags = [self._flags[numbers[number]] for number in chosen]
        done = last >= self.change
        return FlagTail(flags, last, self._checkpoint.next_offset if done else None)

    def flag_states(self) -> FlagStates:
        """The state of every flag."""
        states = [
            (flag.id, flag.severity, flag.status, flag.ledger_offset)
            for flag in self._flags.values()
        ]
        return FlagStates(states, self.change, self._checkpoint.next_offset)

    def readings(
        self,
        *,
        kind: str | None = None,
        device_id: str | None = None,
        since: int | None = None,
        until: int | None = None,
        after: int = 0,
    ) -> Iterator[Reading]:
        """Readings by position."""
        return (
            reading
            for reading in self._readings[after:]
            if kind in (None, reading.kind)
            and device_id in (None, reading.device_id)
            and (since is None or reading.measured_at >= since)
            and (until is None or reading.measured_at < until)
        )

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
        """Flags by ledger offset and id, or the newest first."""
        chosen = (
            flag
            for flag in self._flags.values()
            if code in (None, flag.code)
            and device_id in (None, flag.device_id)
            and kind in (None, flag.kind)
            and (since is None or flag.until >= since)
            and (until is None or flag.since < until)
            and (withdrawn or flag.status != "withdrawn")
            and severity in (None, flag.severity)
            and (ids is None or flag.id in ids)
        )
        if newest_first:
            return iter(sorted(chosen, key=lambda flag: (-flag.since, flag.id)))
        return iter(sorted(chosen, key=lambda flag: (flag.ledger_offset, flag.id)))

    def quarantine(
        self, *, stage: str | None = None, reason: str | None = None, device_id: str | None = None
    ) -> Iterator[QuarantinedRow]:
        """Rows of quarantine in the order in which they came there."""
        return (
            QuarantinedRow(row, len(row.payload))
            for row in self._quarantine
            if stage in (None, row.stage)
            and reason in (None, row.reason)
            and device_id in (None, row.device_id)
        )

    def devices(self) -> Iterator[DeviceSummary]:
        """Every device with a reading or a flag."""
        readings: dict[tuple[str, str], list[Reading]] = {}
        flags: dict[tuple[str, str], list[Flag]] = {}
        for reading in self._readings:
            readings.setdefault((reading.device_id, reading.kind), []).append(reading)
        for flag in self.flags():
            flags.setdefault((flag.device_id, flag.kind), []).append(flag)
        for device_id, kind in sorted(readings.keys() | flags.keys()):
            read = readings.get((device_id, kind), [])
            found = flags.get((device_id, kind), [])
            times = [reading.measured_at for reading in read]
            records: list[Reading | Flag] = [*(read or found)]
            profile = max(records, key=lambda record: record.ledger_offset).profile
            first, last = (min(times), max(times)) if times else (None, None)
            yield DeviceSummary(device_id, kind, profile, first, last, len(read), len(found))

    def currencies(self) -> dict[str, list[str]]:
        """The kinds that have readings, each with their currencies."""
        found: dict[str, set[str]] = {}
        for reading in self._readings:
            words = found.setdefault(reading.kind, set())
            if reading.currency is not None:
                words.add(reading.currency)
        return {kind: sorted(held) for kind, held in sorted(found.items())}

    def tail(self, after: int, limit: int = 5000) -> Tail:
        """At most ``limit`` readings behind ``after``."""
        readings = self._readings[after : after + limit]
        return Tail(readings, after + len(readings))

    def sink_position(self, name: str) -> int:
        """How far a sink came."""
        return self._sinks.get(name, 0)

    def advance_sink(self, name: str, position: int, refused: Sequence[Quarantined] = ()) -> None:
        """Remember how far a sink came."""
        if position > self.sink_position(name):
            self._sinks[name] = position
            self._quarantine += refused

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True
