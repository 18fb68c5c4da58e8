"""The audit as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from gateway.audit import AUDIT, AuditEntry, entry_of
from gateway.queries import paging
from gateway.queries.paging import Page
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.queries.seen import Seen

_CHUNK: Final = 500
_MOST_LOOKED_AT: Final = 5_000


class AuditChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries; what is None does not narrow.  ``action`` is a beginning: ``flag.``."""

    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    since: int | None = None
    until: int | None = None


def page(seen: Seen, choice: AuditChoice, *, cursor: str | None, limit: int) -> Page:
    """Entries, the latest first; a page may hold fewer than asked for and go on.

    Who sees a district only sees the entries about its devices.

    Raises:
        ConfigError: the cursor is none.
    """
    limit = paging.checked_limit(limit)
    key = paging.read(cursor, tuple[int])
    before = None if key is None else key[0]
    found: list[AuditEntry] = []
    looked = 0
    while True:
        entries = _read(seen, choice, before)
        looked += len(entries)
        for entry in entries:
            if _seen(seen, entry):
                if len(found) == limit:
                    return _page(found, found[-1].id)
                found.append(entry)
        if len(entries) < _CHUNK:
            return _page(found, None)
        before = entries[-1].id
        if looked >= _MOST_LOOKED_AT:
            return _page(found, before)


def _page(found: list[AuditEntry], after: int | None) -> Page:
    return Page([record(each) for each in found], None if after is None else paging.written(after))


def record(entry: AuditEntry) -> dict[str, Any]:
    """An entry as JSON."""
    return {
        "id": entry.id,
        "at": rfc3339(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "detail": entry.detail,
        "hash": entry.hash,
    }


def _read(seen: Seen, choice: AuditChoice, before: int | None) -> list[AuditEntry]:
    query = sa.select(AUDIT).order_by(AUDIT.c.id.desc()).limit(_CHUNK)
    if before is not None:
        query = query.where(AUDIT.c.id < before)
    if choice.actor is not None:
        query = query.where(AUDIT.c.actor == choice.actor)
    if choice.action is not None:
        query = query.where(AUDIT.c.action.startswith(choice.action, autoescape=True))
    if choice.subject is not None:
        query = query.where(AUDIT.c.subject == choice.subject)
    if choice.since is not None:
        query = query.where(AUDIT.c.at >= choice.since)
    if choice.until is not None:
        query = query.where(AUDIT.c.at < choice.until)
    with seen.world.casebook.transaction(reading=True) as connection:
        return [entry_of(row) for row in connection.execute(query)]


def _seen(seen: Seen, entry: AuditEntry) -> bool:
    """Whether an entry is about devices that are seen, and about nothing else."""
    if seen.scope.everything:
        return True
    told = entry.detail.get("device_id")
    if isinstance(told, str):
        return seen.sees(told)
    kind = entry.action.partition(".")[0]
    if kind == "certificate":
        return _certificate_seen(seen, entry.subject)
    return kind == "device" and entry.action != "device.import" and seen.sees(entry.subject)


def _certificate_seen(seen: Seen, subject: str) -> bool:
    """Whether a certificate's device is seen; the subject is its id, a blank, and the number.

    An id may hold blanks: every device that can be meant must be seen.
    """
    words = subject.split(" ")
    names = [" ".join(words[:end]) for end in range(1, len(words))]
    known = [name for name in names if seen.device(name) is not None]
    return bool(known) and all(map(seen.sees, known))
