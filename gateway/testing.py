"""Doubles for tests: a source that is a list, a ledger in memory, a clock moved by hand.

They keep the same contracts as the real parts and can be made to fail on purpose.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from gateway.records import Batch
from gateway.sources import Arrivals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from gateway.errors import LedgerError


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

    def verify(self) -> Iterator[object]:
        """Nothing can be wrong with it."""
        return iter(())

    def prune(self, **limits: object) -> None:
        """Keep everything; ``limits`` do not matter here."""
        del limits

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True
