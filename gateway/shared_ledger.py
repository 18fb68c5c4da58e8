"""The ledger as the service holds it: appended to by one thread and pruned by another, in turns."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import structlog

from gateway.ledger.sqlite import SEGMENT_BYTES, SqliteLedger

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.ledger import Pruned
    from gateway.records import Batch

log = structlog.get_logger(__name__)


class SharedLedger(SqliteLedger):
    """A ledger whose appends and prunings wait for each other."""

    def __init__(self, directory: Path, *, segment_bytes: int) -> None:
        super().__init__(directory, segment_bytes=segment_bytes)
        self._turn = threading.Lock()

    def append(self, batch: Batch) -> int:
        """See `SqliteLedger.append`."""
        with self._turn:
            return super().append(batch)

    def prune(
        self, *, keep_from_offset: int, max_age: int | None = None, max_bytes: int | None = None
    ) -> Pruned:
        """See `SqliteLedger.prune`."""
        with self._turn:
            return super().prune(
                keep_from_offset=keep_from_offset, max_age=max_age, max_bytes=max_bytes
            )


def open_ledger(directory: Path, keep_bytes: int | None) -> SharedLedger:
    """Opens the ledger to append, and logs what had to be repaired.

    Whole segments are pruned, so they are made small against ``keep_bytes``.

    Raises:
        LedgerError: as `SqliteLedger`.
    """
    size = min(SEGMENT_BYTES, max(keep_bytes // 8, 1 << 20)) if keep_bytes else SEGMENT_BYTES
    ledger = SharedLedger(directory, segment_bytes=size)
    for fault in ledger.recovery:
        log.error("ledger repaired at its start", fault=str(fault))
    return ledger


def bytes_on_disk(directory: Path) -> int:
    """What the files of a ledger take on disk."""
    total = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                total += entry.stat().st_size
            except FileNotFoundError:
                continue  # pruned meanwhile
    return total
