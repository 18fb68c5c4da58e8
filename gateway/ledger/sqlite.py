"""The embedded ledger: SQLite files, one row a batch, durable when ``append`` returns."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from gateway.errors import LedgerError
from gateway.ledger.files import make_directory
from gateway.ledger.inspection import Verifier, chain_end, summarise
from gateway.ledger.reader import LedgerReader
from gateway.ledger.writer import Writer
from gateway.records import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Self

    from gateway.ledger import LedgerFault, LedgerSummary, Pruned
    from gateway.records import RawMessage

SEGMENT_BYTES = 256 << 20
SEGMENT_AGE = 86_400 * 1_000_000_000
MAX_BATCH = 2_000


class SqliteLedger:
    """A ledger in a directory of its own; see ``Ledger`` for what each call promises.

    One thread appends and prunes; one thread reads, verifies and sums up.  Another process reads
    with ``read_only=True`` while this one appends.

    Args:
        directory: the ledger's own directory (``DATA/ledger``); made if need be.
        read_only: never write; any number of readers beside one writer.
        max_batch: messages a stored batch holds at most; a longer batch is stored as several,
            in one transaction.
        segment_bytes: a new file is begun when the present one is this large; the grain of
            pruning by size.
        segment_age: nanoseconds after which a new file is begun; the grain of pruning by age.
        recent_messages: how many of the messages appended last are kept in memory, where the thread
            that appends also reads them, soon after; 0 for none.
        clock: nanoseconds UTC.

    Raises:
        LedgerLocked: another process writes this ledger; the message says which.
        LedgerFull: the disk refuses for now.
        LedgerError: a newer gateway wrote it.
    """

    def __init__(
        self,
        directory: Path,
        *,
        read_only: bool = False,
        max_batch: int = MAX_BATCH,
        segment_bytes: int = SEGMENT_BYTES,
        segment_age: int = SEGMENT_AGE,
        recent_messages: int = 0,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.directory = directory
        self._reader = LedgerReader(directory)
        self._writer: Writer | None = None
        self._recent: deque[Batch] = deque()
        self._recent_messages = recent_messages
        if read_only:
            return
        make_directory(directory)
        self._writer = Writer(directory, max_batch, segment_bytes, segment_age, clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def first_offset(self) -> int:
        """The oldest message that is kept."""
        return self._reader.first_offset

    @property
    def recovery(self) -> tuple[LedgerFault, ...]:
        """What was found damaged when this writer opened the ledger, and since."""
        return self._writer.recovery if self._writer is not None else ()

    @property
    def next_offset(self) -> int:
        """The offset that the next message will have; for a reader, as of this moment."""
        if self._writer is not None:
            return self._writer.position.next_offset
        return self._reader.next_offset

    def head(self) -> tuple[int, str]:
        """The next offset and the chain hash before it, in hexadecimal.

        Whoever keeps this pair elsewhere can later prove that nothing before it was changed.
        """
        if self._writer is not None:
            position = self._writer.position
            return position.next_offset, position.chain.hex()
        end = chain_end(self.directory)
        return end.next_offset, end.chain.hex()

    def append(self, batch: Batch) -> int:
        """Make the messages durable and return the new next offset; see ``Ledger.append``."""
        end = self._writing().append(batch)
        if self._recent_messages:
            begins = end - len(batch)
            self._recent.append(Batch(batch.topics, batch.payloads, batch.received_at, begins))
            while self._recent and end - self._recent[0].first_offset > self._recent_messages:
                self._recent.popleft()
        return end

    def read(self, offset: int, max_messages: int = 5000) -> Batch:
        """Return the messages from ``offset`` on; see ``Ledger.read``."""
        for batch in self._recent:
            start = offset - batch.first_offset
            if 0 <= start < len(batch):
                part = slice(start, start + max_messages)
                return Batch(
                    batch.topics[part], batch.payloads[part], batch.received_at[part], offset
                )
        return self._reader.read(offset, max_messages)

    def messages(self, first: int, last: int) -> Iterator[RawMessage]:
        """Each message from ``first`` to ``last``, both inclusive, that is in the ledger.

        Raises:
            UnreadableBatch: one of them is damaged.
        """
        return self._reader.messages(first, last)

    def verify(self, progress: Callable[[int, int], None] | None = None) -> Iterator[LedgerFault]:
        """Read everything and yield every fault; see ``Ledger.verify``."""
        return Verifier(self.directory, progress).faults()

    def summary(self) -> LedgerSummary:
        """What there is: batches, messages, times, sizes, chain head, notes."""
        return summarise(self.directory)

    def prune(
        self, *, keep_from_offset: int, max_age: int | None = None, max_bytes: int | None = None
    ) -> Pruned:
        """Delete the oldest segments that are due, whole ones only, and note it in the chain.

        A segment is due when its last message is older than ``max_age`` nanoseconds, or while
        the ledger takes more than ``max_bytes`` on disk.  The segment being written, and any with
        a message at or past ``keep_from_offset``, stays.

        Raises:
            LedgerFull: the pruning could not be noted, so nothing was deleted.
        """
        return self._writing().prune(keep_from_offset, max_age, max_bytes)

    def advance_to(self, offset: int, reason: str) -> int:
        """Never give an offset below this one; returns the next offset.

        For a store that is further than its ledger (an old backup of the ledger was put back):
        the offsets in between count as missing.

        Raises:
            LedgerFull: the disk refuses; nothing has changed.
        """
        return self._writing().advance_to(offset, reason)

    def close(self) -> None:
        """Give the ledger back; safe to call twice."""
        self._reader.close()
        if self._writer is not None:
            self._writer.close()

    def _writing(self) -> Writer:
        if self._writer is None:
            raise LedgerError(f"{self.directory}: this ledger was opened to be read only")
        return self._writer


def open_reader(directory: Path) -> SqliteLedger:
    """Open a ledger that another process may be writing."""
    return SqliteLedger(directory, read_only=True)
