"""What alerts have told and what waits to be sent: ``alerts.sqlite`` in the data directory.

It is no part of the store, because a reprocess makes that anew and what was told stays told.  The
gateway and ``gateway alert`` may have it open at the same time.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.alerts.events import Told
from gateway.errors import ConfigError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

FILE_NAME: Final = "alerts.sqlite"
_VERSION: Final = 1
_BUSY_S: Final = 10.0
_AT_ONCE: Final = 500
_SCHEMA: Final = """
CREATE TABLE alert (
    name TEXT PRIMARY KEY, began_at INTEGER NOT NULL, offset INTEGER NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0, digest_at INTEGER NOT NULL) STRICT;
CREATE TABLE told (
    alert TEXT NOT NULL, flag_id TEXT NOT NULL, version INTEGER NOT NULL, key TEXT NOT NULL,
    severity TEXT NOT NULL, condition TEXT NOT NULL, held INTEGER NOT NULL, summary BLOB NOT NULL,
    PRIMARY KEY (alert, flag_id)) STRICT, WITHOUT ROWID;
CREATE INDEX told_held ON told (alert, flag_id) WHERE held;
CREATE TABLE letter (
    id INTEGER PRIMARY KEY AUTOINCREMENT, alert TEXT NOT NULL, key TEXT NOT NULL,
    flag_id TEXT NOT NULL, event TEXT NOT NULL, severity TEXT NOT NULL, queued_at INTEGER NOT NULL,
    body BLOB NOT NULL, dead INTEGER NOT NULL DEFAULT 0, parcel TEXT,
    attempts INTEGER NOT NULL DEFAULT 0, next_at INTEGER NOT NULL DEFAULT 0, error TEXT,
    UNIQUE (alert, key)) STRICT;
CREATE INDEX letter_waiting ON letter (alert, dead, id);
CREATE INDEX letter_of_flag ON letter (alert, flag_id, id);
"""
# By itself SQLite goes through all flags of the alert: 30 ms for 200,000.
_HELD: Final = "told INDEXED BY told_held WHERE alert = ? AND held"
_LETTER: Final = "id, key, flag_id, event, severity, queued_at, body, parcel, attempts, error"


class Known(msgspec.Struct, frozen=True):
    """One alert's own memory; times in ns UTC.

    ``offset``: flags of messages below this ledger offset have been looked at.
    """

    name: str
    began_at: int
    offset: int
    sent: int
    digest_at: int


class Letter(msgspec.Struct, frozen=True):
    """One event of one flag for one target; ``body`` is JSON."""

    id: int
    key: str
    flag_id: str
    event: str
    severity: str
    queued_at: int
    body: bytes
    parcel: str | None = None
    attempts: int = 0
    error: str | None = None

    @property
    def record(self) -> dict[str, Any]:
        """The body, decoded."""
        found: dict[str, Any] = msgspec.json.decode(self.body)
        return found


class Draft(msgspec.Struct, frozen=True):
    """What a flag is to be remembered by, and the letter about it; None where none is wanted."""

    told: Told
    event: str = ""
    body: bytes | None = None


class Outbox:
    """An open outbox; to be used by one thread.

    Args:
        path: the file, made when it is missing.

    Raises:
        ConfigError: the file is of a newer program.
        StoreUnavailable: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        except sqlite3.Error as fault:
            raise StoreUnavailable(f"alerts: {path}: {fault}") from fault
        with self._translated():
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
        with self._transaction():
            (version,) = self._row("PRAGMA user_version")
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {_VERSION}")
        if version > _VERSION:
            self._db.close()
            raise ConfigError(
                f"alerts: {path} has layout {version}, this gateway knows {_VERSION}: use the "
                "gateway that made it"
            )

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as fault:
            raise StoreUnavailable(f"alerts: {self.path}: {fault}") from fault

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _row(self, sql: str, *values: Any) -> tuple[Any, ...]:  # noqa: ANN401 - of SQLite
        row: tuple[Any, ...] = self._db.execute(sql, values).fetchone()
        return row

    # What is known

    def known(self, name: str) -> Known | None:
        """The memory of an alert; None of one that has never run."""
        with self._translated():
            row = self._row(
                "SELECT name, began_at, offset, sent, digest_at FROM alert WHERE name = ?",
                name,
            )
        return None if row is None else Known(*row)

    def names(self) -> list[str]:
        """Every alert that has ever run."""
        with self._translated():
            return [name for (name,) in self._db.execute("SELECT name FROM alert ORDER BY name")]

    def begin(
        self, name: str, *, at: int, offset: int, flags: Iterable[tuple[str, str, str]]
    ) -> Known:
        """The first start of an alert: what is there by now is known, and will not be told.

        Args:
            name: of the alert.
            at: ns UTC, now.
            offset: flags of messages below it are among those that are there.
            flags: id, severity and condition of each.
        """
        with self._transaction():
            self._db.execute(
                "INSERT INTO alert (name, began_at, offset, digest_at) VALUES (?, ?, ?, ?)",
                (name, at, offset, at),
            )
            self._know(name, flags)
        return Known(name, at, offset, 0, at)

    def know(self, name: str, flags: Iterable[tuple[str, str, str]]) -> None:
        """Flags that are not to be told, because they are older than what is told now.

        Args:
            name: of the alert.
            flags: id, severity and condition of each; one of which something is known stays so.
        """
        with self._transaction():
            self._know(name, flags)

    def _know(self, name: str, flags: Iterable[tuple[str, str, str]]) -> None:
        self._db.executemany(
            "INSERT OR IGNORE INTO told VALUES (?, ?, 0, '', ?, ?, 0, x'7b7d')",
            ((name, *flag) for flag in flags),
        )

    def reached(self, name: str, offset: int) -> None:
        """Flags of messages below ``offset`` have been looked at."""
        with self._transaction():
            self._db.execute(
                "UPDATE alert SET offset = max(offset, ?) WHERE name = ?", (offset, name)
            )

    def told(self, name: str, flag_ids: Sequence[str]) -> dict[str, Told]:
        """What is known of these flags, by id."""
        found: dict[str, Told] = {}
        with self._translated():
            for at in range(0, len(flag_ids), _AT_ONCE):
                part = flag_ids[at : at + _AT_ONCE]
                marks = ", ".join("?" * len(part))
                rows = self._db.execute(
                    "SELECT flag_id, version, key, severity, condition, held, summary FROM told "  # noqa: S608 - marks only
                    f"WHERE alert = ? AND flag_id IN ({marks})",
                    (name, *part),
                )
                found.update((row[0], _told(row)) for row in rows)
        return found

    def held(self, name: str) -> list[str]:
        """Flags that windows of known maintenance hold back."""
        with self._translated():
            rows = self._db.execute(f"SELECT flag_id FROM {_HELD}", (name,))  # noqa: S608 - our own text
            return [flag_id for (flag_id,) in rows]

    def standing(self, name: str, after: str, limit: int = _AT_ONCE) -> list[Told]:
        """Flags that were told and not taken back, by id behind ``after``."""
        with self._translated():
            rows = self._db.execute(
                "SELECT flag_id, version, key, severity, condition, held, summary FROM told "
                "WHERE alert = ? AND flag_id > ? AND version > 0 AND condition <> 'withdrawn' "
                "ORDER BY flag_id LIMIT ?",
                (name, after, limit),
            )
            return [_told(row) for row in rows]

    # Letters

    def take(self, name: str, drafts: Sequence[Draft], *, at: int) -> int:
        """Remembers what is told, and queues the letters about it, in one transaction.

        A letter that was queued before, under the same key, is not queued again.

        Returns:
            The number of letters queued.
        """
        before = self._db.total_changes
        letters = [
            (name, d.told.key, d.told.flag_id, d.event, d.told.severity, at, d.body)
            for d in drafts
            if d.body is not None
        ]
        with self._transaction():
            self._db.executemany(
                "INSERT INTO letter (alert, key, flag_id, event, severity, queued_at, body) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                letters,
            )
            queued = self._db.total_changes - before
            self._db.executemany(
                "INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        name,
                        t.flag_id,
                        t.version,
                        t.key,
                        t.severity,
                        t.condition,
                        t.held,
                        t.summary,
                    )
                    for t in (draft.told for draft in drafts)
                ],
            )
        return queued

    def waiting(self, name: str) -> int:
        """Letters that are not sent yet."""
        with self._translated():
            count: int = self._row(
                "SELECT count(*) FROM letter WHERE alert = ? AND dead = 0", name
            )[0]
        return count

    def counts(self, name: str) -> tuple[int, int, int]:
        """Letters waiting, letters dead, and flags held back."""
        with self._translated():
            waiting, dead = self._row(
                "SELECT count(*) FILTER (WHERE NOT dead), count(*) FILTER (WHERE dead) FROM letter "
                "WHERE alert = ?",
                name,
            )
            (held,) = self._row(f"SELECT count(*) FROM {_HELD}", name)  # noqa: S608 - our own text
        return waiting, dead, held

    def due(self, name: str, now: int, limit: int) -> list[Letter]:
        """Letters to be sent now, the oldest first; of one flag only the oldest that waits."""
        return self._letters(
            "alert = ? AND dead = 0 AND next_at <= ? AND NOT EXISTS (SELECT 1 FROM letter b "
            "WHERE b.alert = a.alert AND b.flag_id = a.flag_id AND b.id < a.id AND b.dead = 0) "
            "ORDER BY id LIMIT ?",
            name,
            now,
            limit,
        )

    def unpacked(self, name: str, severities: Sequence[str]) -> list[Letter]:
        """Letters of these severities that are in no parcel yet."""
        marks = ", ".join("?" * len(severities))
        return self._letters(
            f"alert = ? AND dead = 0 AND parcel IS NULL AND severity IN ({marks}) ORDER BY id",
            name,
            *severities,
        )

    def packed(self, name: str, now: int) -> list[list[Letter]]:
        """Parcels to be sent now, the oldest first."""
        parcels: dict[str | None, list[Letter]] = {}
        for letter in self._letters(
            "alert = ? AND dead = 0 AND parcel IS NOT NULL AND next_at <= ? ORDER BY id", name, now
        ):
            parcels.setdefault(letter.parcel, []).append(letter)
        return list(parcels.values())

    def pack(self, name: str, letters: Sequence[Letter], parcel: str, *, digest_at: int) -> None:
        """Puts letters into a parcel, which from now on stays as it is."""
        with self._transaction():
            self._db.executemany(
                "UPDATE letter SET parcel = ? WHERE id = ?", [(parcel, each.id) for each in letters]
            )
            self._db.execute(
                "UPDATE alert SET digest_at = max(digest_at, ?) WHERE name = ?", (digest_at, name)
            )

    def settle(
        self,
        name: str,
        *,
        sent: Sequence[Letter] = (),
        buried: Sequence[tuple[Sequence[Letter], str]] = (),
        postponed: Sequence[tuple[Sequence[Letter], int, str]] = (),
    ) -> None:
        """Records what became of attempts, in one transaction.

        Args:
            name: of the alert.
            sent: the target has these.
            buried: it will not take these, and why: they are kept, to be looked at and sent again.
            postponed: it may take these later: from when on, and why not now.
        """
        with self._transaction():
            self._db.executemany("DELETE FROM letter WHERE id = ?", [(each.id,) for each in sent])
            self._db.execute("UPDATE alert SET sent = sent + ? WHERE name = ?", (len(sent), name))
            self._db.executemany(
                "UPDATE letter SET dead = 1, parcel = NULL, attempts = attempts + 1, error = ? "
                "WHERE id = ?",
                [(why, each.id) for letters, why in buried for each in letters],
            )
            self._db.executemany(
                "UPDATE letter SET attempts = attempts + 1, next_at = ?, error = ? WHERE id = ?",
                [(at, why, each.id) for letters, at, why in postponed for each in letters],
            )

    def hurry(self, name: str) -> None:
        """The target is there again: nothing waits any longer for another attempt."""
        with self._transaction():
            self._db.execute(
                "UPDATE letter SET next_at = 0 WHERE alert = ? AND dead = 0 AND next_at > 0",
                (name,),
            )

    def dead(self, name: str) -> list[Letter]:
        """Letters that were given up, the oldest first."""
        return self._letters("alert = ? AND dead = 1 ORDER BY id", name)

    def revive(self, name: str, keys: Sequence[str] | None, *, at: int) -> int:
        """Queues dead letters anew; all of them, or those named by key.  Returns how many."""
        return self._each_dead(
            "UPDATE letter SET dead = 0, attempts = 0, next_at = 0, queued_at = ? "
            "WHERE alert = ? AND dead = 1",
            (at, name),
            keys,
        )

    def discard(self, name: str, keys: Sequence[str] | None) -> int:
        """Forgets dead letters; all of them, or those named by key.  Returns how many."""
        return self._each_dead("DELETE FROM letter WHERE alert = ? AND dead = 1", (name,), keys)

    def _each_dead(self, sql: str, values: tuple[Any, ...], keys: Sequence[str] | None) -> int:
        with self._transaction():
            if keys is None:
                return self._db.execute(sql, values).rowcount
            found = (self._db.execute(f"{sql} AND key = ?", (*values, key)) for key in keys)
            return sum(each.rowcount for each in found)

    def _letters(self, where: str, *values: Any) -> list[Letter]:  # noqa: ANN401 - of SQLite
        with self._translated():
            rows = self._db.execute(f"SELECT {_LETTER} FROM letter a WHERE {where}", values)  # noqa: S608 - our own text
            return [Letter(*row) for row in rows]


def _told(row: tuple[Any, ...]) -> Told:
    flag_id, version, key, severity, condition, held, summary = row
    return Told(flag_id, version, key, severity, condition, bool(held), summary)
