"""The audit: what people did and looked at, as a chain of hashes in the casebook.

Each entry carries SHA-256 over the entry before it and its own content, so that a change, a gap or
an entry put in between shows (`verify`).  What the chain alone cannot show is a tail that was cut
off, or a whole chain written anew by who has the file: against these the hash of the last entry is
told (`Head`), to be kept elsewhere and given to a later `verify`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_METADATA: Final = sa.MetaData()
BEGINNING: Final = "0" * 64
"""What stands for the hash before the first entry."""
_AT_ONCE: Final = 5_000
_SHOWN: Final = 100

AUDIT: Final = sa.Table(
    "audit",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)
_DETAIL: Final = sa.cast(AUDIT.c.detail, sa.Text)


class AuditEntry(msgspec.Struct, frozen=True):
    """One thing a person did or looked at; ``at`` in nanoseconds UTC."""

    at: int
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    id: int = 0
    hash: str = ""


class Head(msgspec.Struct, frozen=True):
    """The last entry: its number and its hash; number 0 of an empty audit."""

    id: int
    hash: str


class Verdict(msgspec.Struct, frozen=True):
    """What `verify` found; ``faults`` is empty when nothing was altered."""

    entries: int
    head: Head
    faults: list[str]


def entry_hash(before: str, entry: Sequence[Any]) -> str:
    """The hash of an entry: id, at, actor, action, subject, and detail as JSON, as it is stored."""
    return hashlib.sha256(bytes.fromhex(before) + msgspec.json.encode(list(entry))).hexdigest()


def append(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> int:
    """Adds entries (at, actor, action, subject, detail) within a transaction that writes.

    Returns:
        The id of the first one.
    """
    head = read_head(connection)
    number, before = max(head.id, _ever(connection)), head.hash
    made = []
    for row in rows:
        number += 1
        detail = msgspec.json.encode(row["detail"]).decode()
        fields = (number, row["at"], row["actor"], row["action"], row["subject"], detail)
        before = entry_hash(before, fields)
        made.append({**row, "id": number, "hash": before})
    if made:
        connection.execute(sa.insert(AUDIT), made)
    return number - len(made) + 1


def _ever(connection: sa.Connection) -> int:
    """The highest id that there ever was: an entry never gets the number of one that is gone."""
    query = sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'audit'")
    return int(connection.scalar(query) or 0) if connection.dialect.name == "sqlite" else 0


def read_head(connection: sa.Connection) -> Head:
    """The last entry as it says itself."""
    query = sa.select(AUDIT.c.id, AUDIT.c.hash).order_by(AUDIT.c.id.desc()).limit(1)
    row = connection.execute(query).first()
    return Head(0, BEGINNING) if row is None else Head(row.id, row.hash)


def verify(connection: sa.Connection, kept: Head | None = None) -> Verdict:
    """Computes the whole chain anew.

    Args:
        connection: of the casebook, reading.
        kept: an earlier head that was kept elsewhere; its entry must still be there, unaltered.
    """
    faults: list[str] = []
    number, before, seen_kept = 0, BEGINNING, kept is None or kept.id == 0
    entries = 0
    for row in _all(connection):
        if row.id != number + 1:
            faults.append(f"entries {number + 1} to {row.id - 1} are missing")
        fields = (row.id, row.at, row.actor, row.action, row.subject, row.text)
        if entry_hash(before, fields) != row.hash:
            faults.append(f"entry {row.id} is not what its hash says, or the one before it is not")
        if kept is not None and row.id == kept.id:
            seen_kept = True
            if row.hash != kept.hash:
                faults.append(f"entry {row.id} is not the one whose hash was kept")
        # Going on from the hash that stands there: one altered entry is one fault.
        number, before = row.id, row.hash
        entries += 1
    if not seen_kept and kept is not None:
        faults.append(f"entry {kept.id}, whose hash was kept, is missing")
    if _ever(connection) > number:
        faults.append(f"entries {number + 1} to {_ever(connection)} are missing at the end")
    if len(faults) > _SHOWN:
        faults = [*faults[:_SHOWN], f"and {len(faults) - _SHOWN} more"]
    return Verdict(entries, Head(number, before), faults)


def _all(connection: sa.Connection) -> Iterator[Any]:
    columns = [column for column in AUDIT.columns if column.name != "detail"]
    query = sa.select(*columns, _DETAIL.label("text")).order_by(AUDIT.c.id)
    return iter(connection.execution_options(yield_per=_AT_ONCE).execute(query))


def entry_of(row: sa.Row[Any]) -> AuditEntry:
    """A row of `AUDIT`."""
    return AuditEntry(
        row.at, row.actor, row.action, row.subject, row.detail, id=row.id, hash=row.hash
    )
