"""Flags with what people have said of them: pages, counts, one flag with its history."""
# ruff: noqa: S608 - what is put into statements is our own names; users' values are parameters

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from gateway.checks.catalogue import CATALOGUE
from gateway.errors import ConfigError
from gateway.flags import tables
from gateway.flags.lines import history_lines, view_line
from gateway.flags.query import Choice, Desk, events, history
from gateway.flags.records import FlagView
from gateway.flags.states import STATES, STATUSES
from gateway.quantities import KINDS
from gateway.queries import paging
from gateway.queries.paging import Page
from gateway.queries.seen import NotFound
from gateway.store import rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from gateway.queries.seen import Seen
    from gateway.records import Flag

TITLES: Final = {info.code: info.title for info in CATALOGUE.values()}
SEVERITIES: Final = ("info", "minor", "major", "critical")
_CHUNK: Final = 500
_LEAST_CHUNK: Final = 50
_MOST_LOOKED_AT: Final = 10_000
"""A page of a rare status ends, with a cursor, when so many flags have been looked at for it."""
_MOST_DECIDED: Final = 20_000
_DECIDED: Final = frozenset(STATES) - {"open"}

Key = tuple[int, str]


class FlagChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which flags are asked for; what is None or empty does not narrow.

    ``since``/``until`` in ns: flags whose span touches [since, until).  ``statuses`` empty is all
    but ``withdrawn``.
    """

    code: str | None = None
    kind: str | None = None
    device_id: str | None = None
    region: str | None = None
    site: str | None = None
    vendor: str | None = None
    severity: str | None = None
    statuses: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None

    def checked(self) -> FlagChoice:
        """Itself.

        Raises:
            ConfigError: a code, kind, severity or status that there is not.
        """
        given: tuple[tuple[str, str | None, Collection[str]], ...] = (
            ("code", self.code, CATALOGUE),
            ("kind", self.kind, KINDS),
            ("severity", self.severity, SEVERITIES),
            *(("status", status, STATUSES) for status in self.statuses),
        )
        for name, value, known in given:
            if value is not None and value not in known:
                raise ConfigError(f"{name} {value!r:.40}: known are {', '.join(known)}")
        return self


def page(seen: Seen, choice: FlagChoice, *, cursor: str | None, limit: int) -> Page:
    """Flags, those that began last first; a page may hold fewer than asked for and go on.

    Raises:
        ConfigError: the choice or the cursor is none.
        AccessDenied: the region lies outside of the scope.
    """
    limit = paging.checked_limit(limit)
    after = paging.read(cursor, tuple[int, str])
    desk = Desk(seen.world.store, seen.world.casebook, seen.world.directory.registry)
    views, reached = _walk(seen, desk, choice.checked(), after, limit)
    items = [record(seen, view) for view in views]
    return Page(items, None if reached is None else paging.written(*reached))


def _walk(
    seen: Seen, desk: Desk, choice: FlagChoice, after: Key | None, limit: int
) -> tuple[list[FlagView], Key | None]:
    """The flags of a page, and the key to go on behind; None where there are no more."""
    wanted = _statuses(choice)
    decided = _decided_ids(seen, choice)
    chosen = _chosen(seen, choice)
    gone = _gone(seen, desk, choice, chosen, after)
    found: list[FlagView] = []
    looked, size = 0, min(max(limit + 1, _LEAST_CHUNK), _CHUNK)
    while True:
        flags = _read(seen, choice, after, chosen, decided, size=size)
        looked += len(flags)
        last = len(flags) < size
        size = _CHUNK
        merged = [*desk.viewed(flags)]
        end = None if last else _key_of(flags[-1])
        here = [view for view in gone if end is None or _order(_key(view)) <= _order(end)]
        gone = gone[len(here) :]
        merged = sorted([*merged, *here], key=lambda view: _order(_key(view)))
        for view in merged:
            if view.status in wanted:
                if len(found) == limit:
                    return found, _key(found[-1])
                found.append(view)
        if last:
            return found, None
        after = end
        if looked >= _MOST_LOOKED_AT:
            return found, after


def _read(
    seen: Seen,
    choice: FlagChoice,
    after: Key | None,
    chosen: list[str] | None,
    decided: list[str] | None,
    *,
    size: int,
) -> list[Flag]:
    """The next flags of the store that can be meant, in the order of pages."""
    conditions = {
        "severity = ?": choice.severity,
        "code = ?": choice.code,
        "kind = ?": choice.kind,
        rows.time_bound("until", ">="): choice.since,
        rows.time_bound("since", "<"): choice.until,
        "id IN (SELECT unnest(?::VARCHAR[]))": decided,
    }
    clause, parameters = rows.where(conditions)
    more = [] if chosen is None else ["device_id IN (SELECT value FROM chosen)"]
    if after is not None:
        more.append("(since < make_timestamp_ns(?) OR (since = make_timestamp_ns(?) AND id > ?))")
        parameters += [after[0], after[0], after[1]]
    if more:
        clause = f"{clause} AND {' AND '.join(more)}" if clause else f" WHERE {' AND '.join(more)}"
    found = seen.world.store.ask(
        f"SELECT {rows.FLAG_COLUMNS} FROM flags{clause} ORDER BY flags.since DESC, id LIMIT {size}",
        parameters,
        chosen=chosen,
    )
    return [rows.flag(row) for row in found]


def _statuses(choice: FlagChoice) -> frozenset[str]:
    return frozenset(choice.statuses) if choice.statuses else frozenset(STATUSES) - {"withdrawn"}


def _chosen(seen: Seen, choice: FlagChoice) -> list[str] | None:
    return seen.chosen(
        device_id=choice.device_id, region=choice.region, site=choice.site, vendor=choice.vendor
    )


def _decided_ids(seen: Seen, choice: FlagChoice) -> list[str] | None:
    """The only flags that can have one of the statuses asked for; None where any flag can.

    Few flags of many are decided about, and a list of these should not look at all others.
    """
    if not choice.statuses or not set(choice.statuses) <= _DECIDED:
        return None
    query = sa.select(tables.STATE.c.flag_id).where(tables.STATE.c.state.in_(choice.statuses))
    with seen.world.casebook.transaction(reading=True) as connection:
        found = list(connection.scalars(query.limit(_MOST_DECIDED)))
    return found if len(found) < _MOST_DECIDED else None


def _gone(
    seen: Seen, desk: Desk, choice: FlagChoice, chosen: list[str] | None, after: Key | None
) -> list[FlagView]:
    """Decided flags that the store does not have any more, behind a key, in the order of pages."""
    with seen.world.casebook.transaction(reading=True) as connection:
        decided = tables.read_case_ids(connection)
    if not decided:
        return []
    lost = [
        str(flag_id)
        for (flag_id,) in seen.world.store.ask(
            "SELECT value FROM chosen WHERE value NOT IN (SELECT id FROM flags)", chosen=decided
        )
    ]
    if not lost:
        return []
    among = None if chosen is None else set(chosen)
    plain = Choice(
        code=choice.code, kind=choice.kind, severity=choice.severity, since=choice.since,
        until=choice.until, statuses=STATUSES,
    )  # fmt: skip
    views = [
        view
        for view in _lost_views(seen, desk, lost)
        if (among is None or view.flag.device_id in among)
        and plain.takes(view)
        and (after is None or _order(_key(view)) > _order(after))
    ]
    return sorted(views, key=lambda view: _order(_key(view)))


def _lost_views(seen: Seen, desk: Desk, ids: Sequence[str]) -> Iterator[FlagView]:
    with seen.world.casebook.transaction(reading=True) as connection:
        cases = tables.read_cases(connection, ids)
    flags = [msgspec.structs.replace(case.flag, status="withdrawn") for case in cases.values()]
    for view in desk.viewed(flags):
        yield msgspec.structs.replace(view, gone=True)


def _key_of(flag: Flag) -> Key:
    return flag.since, flag.id


def _key(view: FlagView) -> Key:
    return _key_of(view.flag)


def _order(key: Key) -> Key:
    return -key[0], key[1]


def look(seen: Seen, ids: Sequence[str]) -> list[FlagView]:
    """These flags as they are now, each once.

    Raises:
        NotFound: there is no such flag in the scope.
    """
    desk = Desk(seen.world.store, seen.world.casebook, seen.world.directory.registry)
    try:
        views = desk.look(ids)
    except ConfigError:
        raise NotFound(_no_flag(ids)) from None
    if not all(seen.sees(view.flag.device_id) for view in views):
        raise NotFound(_no_flag(ids))
    return views


def _no_flag(ids: Sequence[str]) -> str:
    return f"no flag {ids[0]!r:.128}" if len(ids) == 1 else "one of these flags is not there"


def touching(
    seen: Seen, ids: Sequence[str], since: int, until: int, *, most: int
) -> list[dict[str, Any]]:
    """Flags of some devices that touch a span and are more than information, the latest first.

    That the devices may be seen is for the caller to know.
    """
    clause, parameters = rows.where(
        {
            "severity <> ?": "info",
            rows.time_bound("until", ">="): since,
            rows.time_bound("since", "<"): until,
        }
    )
    found = seen.world.store.ask(
        f"SELECT {rows.FLAG_COLUMNS} FROM flags{clause} AND status <> 'withdrawn' "
        "AND device_id IN (SELECT value FROM chosen) "
        f"ORDER BY flags.since DESC, id LIMIT {most}",
        parameters,
        chosen=list(ids),
    )
    desk = Desk(seen.world.store, seen.world.casebook, seen.world.directory.registry)
    return [record(seen, view) for view in desk.viewed([rows.flag(row) for row in found])]


def one(seen: Seen, flag_id: str) -> dict[str, Any]:
    """A flag with its history.

    Raises:
        NotFound: there is none in the scope.
    """
    (view,) = look(seen, [flag_id])
    return record(seen, view) | {"history": happened(seen, view)}


def happened(seen: Seen, view: FlagView) -> list[dict[str, Any]]:
    """What happened to a flag, in its order; who decided and why only where places are seen."""
    lines = history_lines(history(view, events(seen.world.casebook, view.flag.id)))
    if seen.privacy.places:
        return lines
    return [{k: v for k, v in line.items() if k not in {"actor", "reason"}} for line in lines]


def record(seen: Seen, view: FlagView) -> dict[str, Any]:
    """A flag's record, as far as it may be seen."""
    line = view_line(view, TITLES)
    line["evidence"] = seen.named(line["evidence"])
    return seen.privacy.flag(line)


def counts(seen: Seen, *, region: str | None = None, since: int | None = None) -> dict[str, Any]:
    """Flags that processing finds to stand or have stood, by code and severity, and by day.

    ``since`` in ns: only flags that go on, or began, after it.  The last thirty days are told one
    by one, so that today can be held against what is usual.
    """
    chosen = seen.chosen(region=region)
    only = "" if chosen is None else " AND device_id IN (SELECT value FROM chosen)"
    clause, parameters = rows.where({rows.time_bound("until", ">="): since})
    clause = f"{clause} AND " if clause else " WHERE "
    found = seen.world.store.ask(
        "SELECT code, severity, status, count(*), count(DISTINCT device_id) FROM flags"
        f"{clause}status <> 'withdrawn'{only} GROUP BY ALL ORDER BY 4 DESC, 1",
        parameters,
        chosen=chosen,
    )
    days = seen.world.store.ask(
        "SELECT strftime(since, '%Y-%m-%d') AS day, code, count(*) FROM flags "
        "WHERE status <> 'withdrawn' AND since >= (SELECT max(since) FROM flags) "
        f"- INTERVAL 30 DAY{only} GROUP BY ALL ORDER BY 1, 2",
        chosen=chosen,
    )
    return {
        "codes": [
            {
                "code": code, "severity": severity, "condition": condition, "flags": flags,
                "devices": devices, "title": TITLES.get(code),
            }
            for code, severity, condition, flags, devices in found
        ],
        "days": [{"date": day, "code": code, "flags": flags} for day, code, flags in days],
    }  # fmt: skip
