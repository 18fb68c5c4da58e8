"""Building a store anew beside the old one, for a full reprocess.

The new file is filled while the old one is still whole, then takes its place in one step.
"""
# ruff: noqa: S608 - the only names in these statements are our own tables

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from gateway.errors import StoreError
from gateway.quantities import KINDS
from gateway.records import Counters
from gateway.store import schema
from gateway.store.connections import one

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from gateway.store.connections import Connections


def copy_before(writer: duckdb.DuckDBPyConnection, source: Connections, offset: int) -> int:
    """Copies what ``source`` has of messages below ``offset``; returns the last position."""
    for name in (*map(schema.table, KINDS), "flags", "quarantine"):
        with source.arrow(f"SELECT * FROM {name} WHERE ledger_offset < $1", [offset]) as incoming:
            writer.register("copied", incoming)
            writer.execute(f"INSERT INTO {name} BY NAME SELECT * FROM copied")
            writer.unregister("copied")
    every = " UNION ALL ".join(
        f"SELECT ledger_offset, position FROM {schema.table(kind)}" for kind in KINDS
    )
    position: int
    stored, readings, position = one(
        writer,
        "SELECT count(DISTINCT ledger_offset), count(*), coalesce(max(position), 0) "
        f"FROM ({every})",
    )
    (quarantined,) = one(
        writer,
        "SELECT count(DISTINCT ledger_offset) FROM quarantine WHERE stage NOT LIKE 'sink:%'",
    )
    (flags,) = one(writer, "SELECT count(*) FROM flags")
    counters = Counters(
        stored=stored,
        quarantined=quarantined,
        ignored=offset - stored - quarantined,
        readings=readings,
        flags=flags,
    )
    writer.execute(
        "UPDATE checkpoint SET next_offset = ?, position = ?, commits = 1, counters = ?",
        [offset, position, msgspec.json.encode(counters).decode()],
    )
    return position


def swap(built: Path, path: Path) -> None:
    """Puts a newly built store in the place of ``path``; both must have been closed.

    Raises:
        StoreError: one of them still has a write-ahead log: open and close it first.
    """
    for each in (built, path):
        if each.with_name(each.name + ".wal").exists():
            raise StoreError(f"store: {each} was not closed: open and close it before the swap")
    built.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
