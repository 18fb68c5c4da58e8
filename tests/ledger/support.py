"""What the ledger's tests share: messages that can be recomputed, a clock, a frozen ledger."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

from gateway.ledger import UnreadableBatch
from gateway.ledger.sqlite import SqliteLedger
from gateway.records import Batch

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gateway.ledger import LedgerFault

START = 1_790_000_000_000_000_000
SECOND = 1_000_000_000
DAY = 86_400 * SECOND


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def message(offset: int) -> tuple[str, bytes]:
    """The message that belongs at an offset, so that any reader can check it."""
    noise = random.Random(offset)
    payload = f'{{"seq": {offset}, "v": {noise.random()}}}'.encode() + noise.randbytes(40)
    return f"meters/110105/water_meter/w-{offset % 97:04d}/up", payload


def batch(first: int, count: int, at: int = START) -> Batch:
    """The messages that belong at ``first`` and behind it."""
    columns = [message(offset) for offset in range(first, first + count)]
    return Batch([t for t, _ in columns], [p for _, p in columns], [at] * count)


def fill(ledger: SqliteLedger, sizes: Iterable[int], at: int = START) -> int:
    """Append batches of these sizes and return the next offset."""
    for size in sizes:
        ledger.append(batch(ledger.next_offset, size, at))
    return ledger.next_offset


def read_all(ledger: SqliteLedger, first: int = 0) -> tuple[set[int], list[LedgerFault]]:
    """Every offset that can be read, each message checked against what was written; damages."""
    offset, seen, faults = first, set(), []
    while True:
        try:
            got = ledger.read(offset, 700)
        except UnreadableBatch as error:
            fault = error.fault
        else:
            fault = None
        if fault is not None:
            assert fault.last_offset >= offset, "reading must get past a damage"
            faults.append(fault)
            offset = fault.last_offset + 1
            continue
        if not got.topics:
            return seen, faults
        assert got.first_offset >= offset
        for position, pair in enumerate(
            zip(got.topics, got.payloads, strict=True), got.first_offset
        ):
            assert pair == message(position), f"offset {position} reads as another message"
        seen.update(range(got.first_offset, got.first_offset + len(got)))
        offset = got.first_offset + len(got)


def covered(faults: Iterable[LedgerFault]) -> set[int]:
    """Every offset that some fault names."""
    return {
        offset for fault in faults for offset in range(fault.first_offset, fault.last_offset + 1)
    }


def segment_files(directory: Path) -> list[Path]:
    """The segments' database files, oldest first."""
    return sorted(directory.glob("*.sqlite"))


def as_if_killed(ledger: SqliteLedger, target: Path) -> Path:
    """Copy an open ledger as a kill -9 would leave it: write-ahead log and all, head not clean."""
    shutil.copytree(ledger.directory, target)
    return target


def flip(path: Path, position: int, bit: int = 0) -> None:
    """Change one bit of a file."""
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ (1 << bit)]))


def break_a_leaf(path: Path) -> None:
    """Make one page of batches in the middle of a closed segment unreadable."""
    page = 8192
    content = path.read_bytes()
    leaves = [at for at in range(page, len(content), page) if content[at] == 0x0D]
    with path.open("r+b") as file:
        file.seek(leaves[len(leaves) // 2])
        file.write(b"\xff" * 64)
