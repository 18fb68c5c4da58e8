"""The ledger: raw messages, append-only, addressed by offset and chained by hash.

It is buffer, audit trail and source of replay in one.  ``gateway.ledger.sqlite.SqliteLedger`` is
the embedded implementation; this module is what its users may rely on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from gateway.errors import LedgerCorrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.records import Batch


class LedgerFault(msgspec.Struct, frozen=True):
    """One place where the ledger is not what was acknowledged.

    ``batch`` is the batch's number in the chain (0 is the first ever written), ``first_offset``
    and ``last_offset`` the messages concerned, both inclusive (``last_offset`` is below
    ``first_offset`` where no message is concerned).  ``what`` says which rule is broken:
    ``missing``, ``content``, ``header``, ``chain``, ``order``, ``unreadable``, ``structure``,
    ``segment``, ``head`` or ``anchor``.
    """

    batch: int
    first_offset: int
    last_offset: int
    what: str
    expected: str
    got: str

    def __str__(self) -> str:
        """The fault as one line for a person."""
        offsets = (
            f" (offsets {self.first_offset} to {self.last_offset})"
            if self.last_offset >= self.first_offset
            else ""
        )
        return f"batch {self.batch}{offsets}: {self.what}: expected {self.expected}, got {self.got}"


class UnreadableBatch(LedgerCorrupt):
    """A batch can't be read, or is not what its hash says.

    Reading goes on behind it at ``fault.last_offset + 1``, which is always above the offset that
    was asked for.
    """

    def __init__(self, fault: LedgerFault) -> None:
        super().__init__(f"{fault}; run `gateway ledger verify`, go on at {fault.last_offset + 1}")
        self.fault = fault


class LedgerNote(msgspec.Struct, frozen=True, array_like=True):
    """What was done to the ledger itself, an entry of the chain like a batch.

    ``event`` is ``pruned``, ``recovered`` or ``advanced``; ``at`` is nanoseconds UTC; ``detail``
    holds the event's own facts.
    """

    event: str
    at: int
    detail: dict[str, Any]


class Pruned(msgspec.Struct, frozen=True):
    """What a call of ``prune`` removed; all zero when nothing was due.

    ``first_offset`` is the first message that remains.
    """

    first_offset: int
    segments: int = 0
    batches: int = 0
    messages: int = 0
    bytes: int = 0


class LedgerSummary(msgspec.Struct, frozen=True):
    """What ``gateway ledger show`` tells; times are nanoseconds, None in an empty ledger.

    ``content_bytes`` is what was received (in its packed form), ``stored_bytes`` what the same
    takes compressed, ``disk_bytes`` the size of all files, moved aside ones included.
    """

    segments: int
    batches: int
    messages: int
    first_offset: int
    next_offset: int
    first_received_at: int | None
    last_received_at: int | None
    content_bytes: int
    stored_bytes: int
    disk_bytes: int
    chain: str
    notes: tuple[LedgerNote, ...]
    unreadable: tuple[str, ...]

    @property
    def ratio(self) -> float:
        """How many bytes of content one stored byte holds."""
        return self.content_bytes / self.stored_bytes if self.stored_bytes else 1.0


class Ledger(Protocol):
    """What intake writes and processing reads.

    One thread appends, one thread reads; the two may be the same or run at the same time.
    """

    @property
    def first_offset(self) -> int:
        """The oldest message that is kept."""

    @property
    def next_offset(self) -> int:
        """The offset that the next message will have; for a reader, as of this moment."""

    def append(self, batch: Batch) -> int:
        """Make the messages durable (fsync) and return the new next offset.

        Raises:
            LedgerFull: no room, or the disk refuses; nothing of the batch is in the ledger, and
                the same call may succeed later.
            LedgerError: the batch itself breaks a bound; trying again will not help.
        """

    def read(self, offset: int, max_messages: int = 5000) -> Batch:
        """Return the messages from ``offset`` on, contiguous; an empty batch at the end.

        May cross stored batches and may return fewer than asked for.  Where ``offset`` is pruned
        or missing, the batch starts at the next message there is (its ``first_offset`` says so).

        Raises:
            UnreadableBatch: the message at ``offset`` is damaged.
        """

    def verify(self, progress: Callable[[int, int], None] | None = None) -> Iterator[LedgerFault]:
        """Read everything and yield every fault; nothing yielded means all is as acknowledged.

        ``progress`` is called with messages done and messages in all.
        """

    def prune(
        self, *, keep_from_offset: int, max_age: int | None = None, max_bytes: int | None = None
    ) -> Pruned:
        """Remove old messages, none at or past ``keep_from_offset``; ages are nanoseconds."""

    def close(self) -> None:
        """Give the ledger back; safe to call twice."""
