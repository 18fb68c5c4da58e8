"""What could not be read: pages, and counts by reason."""
# ruff: noqa: S608 - what is put into statements is our own names; users' values are parameters

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.quantities import KINDS
from gateway.queries import paging
from gateway.queries.paging import Page
from gateway.queries.privacy import PERSONAL
from gateway.queries.seen import profiles_of
from gateway.store import rows
from gateway.store.export import quarantine_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.access.roles import Scope
    from gateway.orders import Order
    from gateway.profiles import ProfileSet
    from gateway.queries.seen import Seen
    from gateway.store import QuarantinedRow
    from gateway.store.reading import StoreReader

_PART: Final = 50_000
_OF_PROFILE: Final = "split_part(profile, '@', 1) = ?"
_SHOWN: Final = frozenset(("payload", "payload_base64"))
_OF_THINGS: Final = frozenset(KINDS) - PERSONAL
"""Kinds whose messages tell of no people; of a message of no known kind nobody can say."""
_RETRIED: Final = " AND stage IN ('decode', 'normalise', 'store')"


class QuarantineChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows; what is None does not narrow.  Bounds in ns on the time of receipt."""

    reason: str | None = None
    stage: str | None = None
    device_id: str | None = None
    profile: str | None = None
    since: int | None = None
    until: int | None = None


def page(seen: Seen, choice: QuarantineChoice, *, cursor: str | None, limit: int) -> Page:
    """Rows of quarantine, the latest first.

    Raises:
        ConfigError: the cursor is none.
    """
    limit = paging.checked_limit(limit)
    key = paging.read(cursor, tuple[int, int])
    clause, parameters, chosen = _where(seen, choice)
    if key is not None:
        clause += " AND (ledger_offset < ? OR (ledger_offset = ? AND rowid < ?))"
        parameters += [key[0], key[0], key[1]]
    found = seen.world.store.ask(
        f"SELECT {rows.QUARANTINE_COLUMNS}, rowid FROM quarantine{clause} "
        f"ORDER BY ledger_offset DESC, rowid DESC LIMIT {limit + 1}",
        parameters,
        chosen=chosen,
    )
    items = [record(seen, rows.quarantined(row[:-1])) for row in found[:limit]]
    if len(found) <= limit:
        return Page(items)
    last = found[limit - 1]
    return Page(items, paging.written(last[0], last[-1]))


def counts(seen: Seen, choice: QuarantineChoice) -> list[dict[str, Any]]:
    """How many rows, by reason and profile, with the latest of each."""
    clause, parameters, chosen = _where(seen, choice)
    found = seen.world.store.ask(
        "SELECT stage, reason, profile, count(*), count(DISTINCT device_id), max(ledger_offset) "
        f"FROM quarantine{clause} GROUP BY ALL ORDER BY 4 DESC, 1, 2, 3",
        parameters,
        chosen=chosen,
    )
    names = ("stage", "reason", "profile", "messages", "devices", "latest_offset")
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in found
    ]


def _where(seen: Seen, choice: QuarantineChoice) -> tuple[str, list[Any], list[str] | None]:
    """The condition, its parameters, and the devices it is about.

    A row without a known device is of no district; a vendor sees it where one of his own profiles
    could not read it.
    """
    clause, parameters = rows.where(
        {
            "reason = ?": choice.reason,
            "stage = ?": choice.stage,
            "device_id = ?": choice.device_id,
            _OF_PROFILE: choice.profile and choice.profile.partition("@")[0],
            rows.time_bound("received_at", ">="): choice.since,
            rows.time_bound("received_at", "<"): choice.until,
        }
    )
    clause = clause or " WHERE true"
    chosen = seen.chosen()
    if chosen is None:
        return clause, parameters, None
    within, more = _within(seen.scope, seen.world.profiles)
    return clause + within, parameters + more, chosen


def _within(scope: Scope, profiles: ProfileSet) -> tuple[str, list[Any]]:
    """The condition that a row is within a scope whose devices are ``chosen``."""
    if scope.vendor is None or scope.region:
        return " AND device_id IN (SELECT value FROM chosen)", []
    return (
        " AND (device_id IN (SELECT value FROM chosen) OR (device_id IS NULL "
        "AND split_part(profile, '@', 1) IN (SELECT unnest(?::VARCHAR[]))))"
    ), [profiles_of(profiles, scope.vendor)]


def retriable(seen: Seen, choice: QuarantineChoice) -> int:
    """How many messages of a choice could be decided again."""
    clause, parameters, chosen = _where(seen, choice)
    ((count,),) = seen.world.store.ask(
        f"SELECT count(DISTINCT ledger_offset) FROM quarantine{clause}{_RETRIED}",
        parameters,
        chosen=chosen,
    )
    return int(count)


def ordered(
    store: StoreReader,
    order: Order,
    *,
    devices: list[str] | None,
    profiles: ProfileSet,
    after: int,
) -> Sequence[int]:
    """The ledger offsets of the messages that an order is for, ascending, a part of them at a time.

    By the same rule as `retriable`, within the scope that the order carries.

    Args:
        store: of the process that works on it.
        order: that was taken up.
        devices: those within its scope; None for all.
        profiles: those of now.
        after: the offset behind which messages are still to be done.
    """
    clause, parameters = rows.where(
        {
            "reason = ?": order.reason,
            _OF_PROFILE: order.profile,
            "ledger_offset > ?": after,
            "ledger_offset < ?": order.below,
        }
    )
    if devices is not None:
        within_scope, more = _within(order.scope, profiles)
        clause, parameters = clause + within_scope, parameters + more
    found = store.ask(
        f"SELECT DISTINCT ledger_offset FROM quarantine{clause}{_RETRIED} ORDER BY 1 LIMIT {_PART}",
        parameters,
        chosen=devices,
    )
    return array("q", (offset for (offset,) in found))


def still(store: StoreReader, offsets: Sequence[int]) -> list[int]:
    """Those of these messages that are in quarantine yet, ascending."""
    found = store.ask(
        "SELECT DISTINCT ledger_offset FROM quarantine "
        f"WHERE ledger_offset IN (SELECT unnest(?::BIGINT[])){_RETRIED} ORDER BY 1",
        [list(offsets)],
    )
    return [offset for (offset,) in found]


def tells_of_people(seen: Seen, items: Iterable[dict[str, Any]]) -> bool:
    """Whether the payload of any of these records may tell of people."""
    return any(
        not _SHOWN.isdisjoint(each)
        and (_kind_of(seen, each.get("profile"), each.get("device_id")) or "") not in _OF_THINGS
        for each in items
    )


def record(seen: Seen, row: QuarantinedRow) -> dict[str, Any]:
    """A row's record; the payload and what is told of it only where these may be seen."""
    made = quarantine_record(row)
    if not seen.privacy.places:
        made.pop("topic")  # it often has the district's code in it
    if seen.privacy.payload(_kind_of(seen, row.message.profile, row.message.device_id)):
        return made
    return {key: value for key, value in made.items() if key not in _SHOWN and key != "detail"}


def _kind_of(seen: Seen, profile_id: str | None, device_id: str | None) -> str | None:
    """The kind of instrument that a message is of, as far as it is known."""
    if profile_id is not None:
        profile = seen.world.profiles.profiles.get(profile_id.partition("@")[0])
        if profile is not None and profile.kind in KINDS:
            return str(profile.kind)
    if device_id is not None:
        device = seen.device(device_id)
        return None if device is None else device.kind
    return None
