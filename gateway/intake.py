"""Group commit: messages of all sources into the ledger, and only then the acknowledgements.

The event loop collects, one writer thread appends batches, and after each fsync the loop's thread
acknowledges.  Everything between is bounded: when it is full the sources are not read, and the
brokers keep what they have.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import structlog

from gateway.errors import GatewayError, LedgerFull
from gateway.records import CLOCK_TOPIC, Batch
from gateway.sources import Arrivals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.ledger import Ledger
    from gateway.sources import Source

log = structlog.get_logger(__name__)

MIB = 1_048_576

State = Literal["open", "ledger_full", "failed", "closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitSettings:
    """How messages are grouped, and how many may wait.

    Args:
        max_messages: most messages in one batch.
        max_bytes: most bytes of payload in one batch; one larger message goes alone.
        max_wait: seconds after which a batch is written though it is not full.
        max_pending_messages: messages in memory from which on the sources are not read.
        max_pending_bytes: the same in bytes of payload.
        retry_min: seconds before the first new attempt at a full ledger.
        retry_max: seconds between attempts at most.
    """

    max_messages: int = 1_000
    max_bytes: int = 16 * MIB
    max_wait: float = 0.010
    max_pending_messages: int = 50_000
    max_pending_bytes: int = 64 * MIB
    retry_min: float = 0.1
    retry_max: float = 5.0


@dataclass(slots=True)
class _Waiting:
    """Arrivals in the queue, and how many of them are in a batch already; no source: our own."""

    source: Source | None
    arrivals: Arrivals
    size: int
    came: float
    taken: int = 0


@dataclass(slots=True)
class _Group:
    """One batch, and the arrivals that are complete with it."""

    batch: Batch
    complete: list[_Waiting]


class GroupCommit:
    """Takes from every source, appends in batches, acknowledges after the fsync.

    Args:
        ledger: where messages become safe.
        sources: what is read; they must be run by the caller.
        settings: sizes and times.
        on_state: called on the loop's thread with each new `state`.
        on_commit: called on the loop's thread with the ledger's next offset after each batch.

    Attributes:
        state: ``ledger_full`` while the ledger takes nothing and nothing is acknowledged.
        received: messages taken from sources.
        appended: messages that are in the ledger.
        batches: batches written.
        next_offset: the ledger's next offset after the last batch.
        last_commit_seconds: how long the last batch took to be safe.
    """

    def __init__(
        self,
        ledger: Ledger,
        sources: Sequence[Source],
        settings: CommitSettings | None = None,
        *,
        on_state: Callable[[State], None] | None = None,
        on_commit: Callable[[int], None] | None = None,
    ) -> None:
        self.state: State = "open"
        self.received = 0
        self.appended = 0
        self.batches = 0
        self.next_offset = ledger.next_offset
        self.last_commit_seconds = 0.0
        self._ledger = ledger
        self._sources = sources
        self._settings = settings or CommitSettings()
        self._on_state = on_state
        self._on_commit = on_commit
        self._queue: deque[_Waiting] = deque()
        self._queued = 0
        self._queued_bytes = 0
        self._pending_bytes = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._room = asyncio.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._written = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._writer = threading.Thread(target=self._write, name="ledger-writer", daemon=True)

    @property
    def pending(self) -> int:
        """Messages taken from sources that are not yet in the ledger."""
        return self.received - self.appended

    async def run(self) -> None:
        """Take and commit until `close`, or until every source has ended.

        Raises:
            LedgerError: the ledger failed for good; what is pending was not acknowledged.
        """
        self._loop = asyncio.get_running_loop()
        self._writer.start()
        self._tasks = [asyncio.create_task(self._take(source)) for source in self._sources]
        failing = asyncio.create_task(self._written.wait())
        taking = asyncio.create_task(_all(self._tasks))
        try:
            await asyncio.wait({taking, failing}, return_when=asyncio.FIRST_COMPLETED)
            for task in self._tasks:
                if task.done() and not task.cancelled() and (error := task.exception()):
                    raise error
        finally:
            failing.cancel()
            await self.close()
            await taking
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """Take nothing more, write and acknowledge what is pending; returns when that is done.

        While the ledger is full one more attempt is made, and what does not go in stays
        unacknowledged, so that the brokers send it again.
        """
        for task in self._tasks:
            task.cancel()
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._writer.is_alive():
            await self._written.wait()
        if self._writer.ident is not None:
            self._writer.join()
        if self.state == "open":
            self._enter("closed")

    async def _take(self, source: Source) -> None:
        settings = self._settings
        async for arrivals in source.arrivals():
            if not arrivals.topics:
                continue
            self._put(source, arrivals)
            while (
                self.pending >= settings.max_pending_messages
                or self._pending_bytes >= settings.max_pending_bytes
            ):
                self._room.clear()
                await self._room.wait()

    def mark(self, received_at: int) -> None:
        """Writes a mark of the clock into the ledger; call it on the loop's thread.

        Args:
            received_at: ns UTC.
        """
        self._put(None, Arrivals([CLOCK_TOPIC], [b""], received_at))

    def _put(self, source: Source | None, arrivals: Arrivals) -> None:
        size = sum(map(len, arrivals.payloads))
        self.received += len(arrivals)
        self._pending_bytes += size
        with self._changed:
            self._queue.append(_Waiting(source, arrivals, size, time.monotonic()))
            self._queued += len(arrivals)
            self._queued_bytes += size
            self._changed.notify()

    # --- the writer's thread

    def _write(self) -> None:
        try:
            while (group := self._collect()) is not None:
                began = time.perf_counter()
                next_offset = self._append(group.batch)
                if next_offset is None:
                    break
                taken = time.perf_counter() - began
                self._call(self._committed, group, next_offset, taken)
        except BaseException as error:  # noqa: BLE001  # handed to run(), which raises it
            self._call(self._failed, error)
        finally:
            self._call(self._written.set)

    def _call(self, function: Callable[..., None], *args: object) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *args)

    def _collect(self) -> _Group | None:
        """Wait for a batch: full, or ``max_wait`` after its first message; None at the end."""
        settings = self._settings
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stopping)
            if not self._queue:
                return None
            self._changed.wait_for(
                lambda: (
                    self._queued >= settings.max_messages
                    or self._queued_bytes >= settings.max_bytes
                    or self._stopping
                ),
                self._queue[0].came + settings.max_wait - time.monotonic(),
            )
            return self._cut()

    def _cut(self) -> _Group:
        group = _Group(Batch([], [], []), [])
        room, room_bytes = self._settings.max_messages, self._settings.max_bytes
        while self._queue and room > 0:
            head = self._queue[0]
            payloads = head.arrivals.payloads
            count, size = _fitting(payloads, head, room, room_bytes, empty=not group.batch.topics)
            if count == 0:
                break
            start, end = head.taken, head.taken + count
            group.batch.topics.extend(head.arrivals.topics[start:end])
            group.batch.payloads.extend(payloads[start:end])
            group.batch.received_at.extend([head.arrivals.received_at] * count)
            head.taken = end
            head.size -= size
            room -= count
            room_bytes -= size
            self._queued -= count
            self._queued_bytes -= size
            if end == len(payloads):
                group.complete.append(self._queue.popleft())
        return group

    def _append(self, batch: Batch) -> int | None:
        """Append, and again until there is room; None when we are stopped meanwhile."""
        delay = self._settings.retry_min
        full = False
        while True:
            stopping = self._stopping
            try:
                next_offset = self._ledger.append(batch)
            except LedgerFull as error:
                if not full:
                    full = True
                    log.warning("ledger full, acknowledgements stopped", error=str(error))
                    self._call(self._enter, "ledger_full")
            else:
                if full:
                    log.info("ledger has room again", next_offset=next_offset)
                    self._call(self._enter, "open")
                return next_offset
            if stopping:
                log.warning("closed with unacknowledged messages", messages=self.pending)
                return None
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, delay)
            delay = min(delay * 2, self._settings.retry_max)

    # --- back on the loop's thread

    def _committed(self, group: _Group, next_offset: int, seconds: float) -> None:
        self.appended += len(group.batch)
        self.batches += 1
        self.next_offset = next_offset
        self.last_commit_seconds = seconds
        self._pending_bytes -= sum(map(len, group.batch.payloads))
        for waiting in group.complete:
            if waiting.source is not None:
                waiting.source.acknowledge(waiting.arrivals)
        self._room.set()
        if self._on_commit is not None:
            self._on_commit(next_offset)

    def _failed(self, error: BaseException) -> None:
        self._failure = error
        self._enter("failed")
        if not isinstance(error, GatewayError):
            log.error("ledger writer failed", error=repr(error))

    def _enter(self, state: State) -> None:
        self.state = state
        if self._on_state is not None:
            self._on_state(state)


async def _all(tasks: list[asyncio.Task[None]]) -> None:
    """Wait until every task has ended, however it did."""
    if tasks:
        await asyncio.wait(tasks)


def _fitting(
    payloads: list[bytes], head: _Waiting, room: int, room_bytes: int, *, empty: bool
) -> tuple[int, int]:
    """How many messages of ``head`` fit, and their bytes; one always fits an empty batch."""
    left = len(payloads) - head.taken
    if left <= room and head.size <= room_bytes:
        return left, head.size
    count = size = 0
    for payload in payloads[head.taken : head.taken + room]:
        if size + len(payload) > room_bytes and not (empty and count == 0):
            break
        count += 1
        size += len(payload)
    return count, size
