"""Removing what has been kept for as long as it may be kept."""
# ruff: noqa: S608 - the only names in these statements are our own tables

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gateway.errors import StoreError
from gateway.quantities import KINDS
from gateway.store import Removed
from gateway.store.connections import one
from gateway.store.schema import table

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

QUARANTINE: Final = "quarantine"
"""What `remove` calls the rows of quarantine."""
ALL: Final = "SELECT kind, before, amount, total, told FROM removed ORDER BY kind"


def remove(
    writer: duckdb.DuckDBPyConnection, kind: str, before: int, *, most: int, below: int | None
) -> int:
    """Removes at most ``most`` rows received before a time, and counts them; see `DuckDBStore`.

    Raises:
        StoreError: no such kind.
    """
    if kind not in {*KINDS, QUARANTINE}:
        raise StoreError(f"store: kind {kind!r} is none of {', '.join((*KINDS, QUARANTINE))}")
    name = QUARANTINE if kind == QUARANTINE else table(kind)
    due, parameters = "received_at < make_timestamp_ns($1)", [before]
    if below is not None:
        due, parameters = f"{due} AND ledger_offset < $2", [before, below]
    (amount,) = one(
        writer,
        f"DELETE FROM {name} WHERE rowid IN (SELECT rowid FROM {name} WHERE {due} LIMIT {most})",
        parameters,
    )
    if amount:
        _count(writer, kind, before, amount)
    return int(amount)


def _count(writer: duckdb.DuckDBPyConnection, kind: str, before: int, amount: int) -> None:
    """Adds to what was removed of a kind; a later bound begins a new amount."""
    known = writer.execute(
        "SELECT before, amount, total FROM removed WHERE kind = ?", [kind]
    ).fetchone()
    total = amount
    if known is not None:
        total += known[2]
        amount += known[1] if known[0] == before else 0
    writer.execute("DELETE FROM removed WHERE kind = ?", [kind])
    writer.execute("INSERT INTO removed VALUES (?, ?, ?, ?, false)", [kind, before, amount, total])


def read(found: Iterable[tuple[Any, ...]]) -> list[Removed]:
    """Rows of `ALL`."""
    return [Removed(*row) for row in found]
