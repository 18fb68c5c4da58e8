"""What went in is what is there: in the ledger at least once, in the store exactly once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb

from gateway.ledger.sqlite import open_reader
from gateway.quantities import KINDS
from gateway.store import schema
from gateway.store.duckdb import DuckDBStore

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(slots=True)
class Audit:
    """The verdict; ``faults`` is empty when every message is accounted for.

    ``redelivered`` messages came again after a lost acknowledgement: they are in the ledger
    twice, and the store must count each as a duplicate.
    """

    expected: int
    stored: int = 0
    lost: int = 0
    doubled: int = 0
    strangers: int = 0
    quarantined: int = 0
    redelivered: int = 0
    flags: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def audit(data: Path, ids: Iterable[tuple[str, int]], possible: int | None = None) -> Audit:
    """Compares a data directory, which no process has open, with what was sent.

    Args:
        data: the gateway's data directory.
        ids: device and number of every acknowledged message.
        possible: messages sent in all, when some may not have been acknowledged; they may be
            there once or not at all.
    """
    wanted = set(ids)
    result = Audit(expected=len(wanted))
    found = _stored_ids(data / "store.duckdb")
    result.stored = sum(found.values())
    result.lost = sum(each not in found for each in wanted)
    result.doubled = sum(count - 1 for count in found.values())
    result.strangers = len(found.keys() - wanted)
    allowed = 0 if possible is None else possible - len(wanted)
    rules = [
        (result.lost == 0, f"{result.lost} acknowledged messages are not in the store"),
        (result.doubled == 0, f"{result.doubled} readings are in the store twice"),
        (result.strangers <= allowed, f"{result.strangers} readings were never sent"),
    ]
    result.faults += [text for holds, text in rules if not holds]
    _audit_counters(data, result)
    _audit_ledger(data, result)
    return result


def _stored_ids(path: Path) -> Counter[tuple[str, int]]:
    tables = " UNION ALL ".join(
        f"SELECT device_id, sequence FROM {schema.table(kind)}" for kind in KINDS
    )
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute(
            f"SELECT device_id, sequence, count(*) FROM ({tables}) GROUP BY ALL"
        ).fetchall()
    return Counter({(device, sequence): count for device, sequence, count in rows})


def _audit_counters(data: Path, result: Audit) -> None:
    store = DuckDBStore(data / "store.duckdb", read_only=True)
    try:
        checkpoint = store.checkpoint()
        result.flags = dict(Counter(flag.code for flag in store.flags()))
        rows = list(store.quarantine())
    finally:
        store.close()
    counters = checkpoint.counters
    result.quarantined = len(rows)
    result.redelivered = counters.duplicates
    if rows:
        first = rows[0].message
        result.faults.append(
            f"{len(rows)} messages in quarantine, first: {first.reason}: {first.detail}"
        )
    if counters.decided != checkpoint.next_offset:
        result.faults.append(
            f"counters do not balance: {counters.decided} decided up to {checkpoint.next_offset}"
        )
    if counters.readings != result.stored:
        result.faults.append(f"{counters.readings} readings counted, {result.stored} stored")


def _audit_ledger(data: Path, result: Audit) -> None:
    ledger = open_reader(data / "ledger")
    try:
        result.faults += [f"ledger: {fault}" for fault in ledger.verify()]
        kept = ledger.next_offset - ledger.first_offset
    finally:
        ledger.close()
    if kept != result.stored + result.redelivered + result.quarantined:
        result.faults.append(
            f"{kept} messages in the ledger, but {result.stored} stored, {result.redelivered} "
            f"duplicates and {result.quarantined} quarantined"
        )
