"""Opening a ledger to write, whatever happened to it: the start always succeeds.

After a kill SQLite drops what was not committed, and nothing else is needed.  Where acknowledged
messages are missing, or the last segment is damaged, the old files stay as evidence, in place if
they can still be opened, else in a directory ``damaged-<time>``; a new segment goes on where the
head file says the last acknowledged message was.  Offsets are never given twice, and the chain
shows what is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from gateway.errors import LedgerCorrupt, LedgerError
from gateway.ledger import LedgerFault, LedgerNote, UnreadableBatch
from gateway.ledger.batch import GENESIS, Packer, Position
from gateway.ledger.files import (
    companions,
    copy_write_ahead_log,
    move_aside,
    read_head,
    remove_segment,
    segment_path,
    segment_paths,
)
from gateway.ledger.inspection import pruned_to
from gateway.ledger.segment import Segment, begin_segment

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.ledger.files import Head

log = structlog.get_logger(__name__)

UNKNOWN_TAIL = 1_000_000_000
"""Offsets passed over when neither head nor segment tells where the ledger ended.

More messages than any segment of the default size can hold (measured: 2 bytes a message at best).
"""


class Opened(msgspec.Struct):
    """A ledger ready to be appended to, and what was found wrong with it."""

    segment: Segment
    position: Position
    faults: tuple[LedgerFault, ...] = ()


class _Found(msgspec.Struct):
    """What the directory holds: last segment that opens, where it ends, what is wrong."""

    segment: Segment | None
    end: Position
    certain: bool
    faults: list[LedgerFault]
    aside: list[str]


def open_to_append(directory: Path, now: int) -> Opened:
    """Open the last segment, or begin one; the writer's lock must be held.

    Raises:
        LedgerFull: the disk refuses for now.
        LedgerError: a newer gateway wrote the ledger.
    """
    head, head_fault = _head(directory)
    finish_pruning(directory)
    listing = segment_paths(directory)
    copy = None
    if listing and not (head and head.clean):
        copy = copy_write_ahead_log(listing[-1][1])
    found = _last_segment(directory, listing, now, check=not (head and head.clean))
    if head_fault is not None:
        found.faults.insert(0, head_fault)
        found.aside.append(str(move_aside(directory, [directory / "head"], now).name))
    target = _target(head, found, head_is_damaged=head_fault is not None)
    if found.segment is not None and target == found.end and found.certain:
        if copy is not None:
            copy.unlink()
        _tell(directory, found.faults, found.aside)
        return Opened(found.segment, target, tuple(found.faults))
    if found.segment is None and not found.faults and target.next_batch == 0:
        return Opened(begin_segment(directory, target, now), target)
    if target.next_offset > found.end.next_offset or target != found.end:
        found.faults.append(_missing(found.end, target))
    if copy is not None:
        found.aside.append(str(move_aside(directory, [copy], now).name))
    opened = begin_after_damage(directory, found.segment, target, found.faults, now)
    _tell(directory, found.faults, found.aside)
    return opened


def finish_pruning(directory: Path) -> None:
    """Delete what a pruning had noted when it was cut off; its note is in the last segments."""
    listing = segment_paths(directory)
    for _, path in listing[-2:]:
        anchor = pruned_to(path)
        for first, stale in listing:
            if anchor is not None and first < anchor.next_offset:
                remove_segment(stale)


def begin_after_damage(
    directory: Path,
    damaged: Segment | None,
    position: Position,
    faults: list[LedgerFault],
    now: int,
) -> Opened:
    """Leave a damaged segment where it is and go on in a new one, with a note of why.

    Raises:
        LedgerFull: the disk refuses; the damaged segment is left closed.
    """
    if damaged is not None:
        damaged.close()
    path = segment_path(directory, position.next_offset)
    if path.exists():  # nothing was ever acknowledged out of it
        move_aside(directory, companions(path), now)
    detail: dict[str, Any] = {"faults": [str(fault)[:500] for fault in faults[:20]]}
    row = Packer(1).note(LedgerNote("recovered", now, detail), position)
    segment = begin_segment(directory, position, now, row)
    return Opened(segment, row.after, tuple(faults))


def _head(directory: Path) -> tuple[Head | None, LedgerFault | None]:
    try:
        return read_head(directory), None
    except LedgerError as error:
        return None, LedgerFault(-1, 0, -1, "head", "a readable head file", str(error))


def _last_segment(
    directory: Path, listing: list[tuple[int, Path]], now: int, *, check: bool
) -> _Found:
    """Find where the ledger ends; ``check`` the file's structure, after an end that was no close.

    A file that is broken further up may still take batches which nobody could then read back.
    """
    found = _Found(None, Position(0, 0, GENESIS), certain=True, faults=[], aside=[])
    lowest = 0
    for first, path in reversed(listing):
        lowest = max(lowest, first)
        try:
            found.segment = Segment(path)
        except LedgerCorrupt as error:
            fault = LedgerFault(-1, first, first - 1, "segment", "a readable file", str(error))
            found.faults.append(fault)
            found.aside.append(str(move_aside(directory, companions(path), now).name))
            found.certain = False
            continue
        try:
            found.end = found.segment.tail()
            broken = found.segment.structure() if check else []
            if found.segment.header_damage is not None:
                broken.append(found.segment.header_damage)
        except LedgerCorrupt as error:
            found.certain = False
            found.end = found.segment.stated_tail()
            found.faults.append(_tail_fault(found.end, error))
            break
        if broken:
            batch, got = found.end.next_batch, f"{path.name}: {'; '.join(broken)[:500]}"
            fault = LedgerFault(batch, first, first - 1, "structure", "a sound SQLite file", got)
            found.faults.append(fault)
            found.certain = False
        break
    if found.end.next_offset < lowest:
        found.end = msgspec.structs.replace(found.end, next_offset=lowest)
    return found


def _tail_fault(end: Position, error: LedgerCorrupt) -> LedgerFault:
    if isinstance(error, UnreadableBatch):
        return error.fault
    batch, offset = end.next_batch, end.next_offset
    return LedgerFault(batch, offset, offset - 1, "unreadable", "a readable end", str(error))


def _target(head: Head | None, found: _Found, *, head_is_damaged: bool) -> Position:
    """Where to go on: never before what was acknowledged."""
    end = found.end
    if head is not None:
        ahead = (head.next_offset, head.next_batch) >= (end.next_offset, end.next_batch)
        return head.position if ahead else end
    nothing_left = found.segment is None and head_is_damaged
    if found.certain and not nothing_left:
        return end
    return msgspec.structs.replace(end, next_offset=end.next_offset + UNKNOWN_TAIL)


def _missing(end: Position, target: Position) -> LedgerFault:
    return LedgerFault(
        batch=end.next_batch,
        first_offset=end.next_offset,
        last_offset=target.next_offset - 1,
        what="missing" if target.next_offset > end.next_offset else "head",
        expected=f"batches up to {target.next_batch - 1}, chain {target.chain.hex()}",
        got=f"the last readable one is {end.next_batch - 1}, chain {end.chain.hex()}",
    )


def _tell(directory: Path, faults: list[LedgerFault], aside: list[str]) -> None:
    for fault in faults:
        log.error("ledger damaged", directory=str(directory), fault=str(fault))
    if faults:
        log.warning(
            "ledger goes on; damaged files are kept",
            directory=str(directory),
            moved_aside=aside,
            next_step="gateway ledger verify",
        )
