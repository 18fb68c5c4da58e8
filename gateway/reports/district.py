"""What a district's report counts: instruments, flags, quality and verifications of a period.

Every question goes through a scope (`gateway.queries.seen`), so nothing of another district can be
in it.  Readings count by when they were measured and flags by when they began, as in the exports.
"""
# ruff: noqa: S608 - what is put into statements is our own names; users' values are parameters

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.flags.query import Desk
from gateway.quality.assess import days
from gateway.quality.dimensions import Counts, Scores, scores
from gateway.quantities import KINDS
from gateway.queries import quality as quality_queries
from gateway.queries.quality import QualityChoice, QualityCounts
from gateway.queries.seen import Seen
from gateway.registry.validity import Overdue, overdue
from gateway.reports.periods import ZONE, Period
from gateway.store import rows
from gateway.store.schema import table
from gateway.times import DAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.access.roles import Scope
    from gateway.flags.records import FlagView

DUE_DAYS: Final = 60
"""How far beyond the end of the period a verification is told to fall due."""
WORST: Final = 15
_SEVERITIES: Final = ("critical", "major", "minor", "info")
_QUALITY_ROWS: Final = 1_000


class Alive(msgspec.Struct):
    """Instruments of one kind."""

    known: int = 0
    alive: int = 0
    silent: int = 0
    never: int = 0
    before: int = 0


class CodeCount(msgspec.Struct):
    """Flags of one code and severity that began in the period, and in the one before."""

    code: str
    severity: str
    flags: int = 0
    before: int = 0
    devices: set[str] = msgspec.field(default_factory=set)


class Worst(msgspec.Struct):
    """An instrument with flags; ``codes`` by how often, ``quality`` from 0 to 100."""

    device_id: str
    severities: Counter[str]
    codes: Counter[str]
    quality: float | None = None

    @property
    def rank(self) -> tuple[int, ...]:
        """The worse the smaller."""
        return (
            *(-self.severities[each] for each in _SEVERITIES[:2]),
            -self.severities.total(),
        )


class District(msgspec.Struct):
    """All that the report says."""

    scope: Scope
    period: Period
    kinds: dict[str, Alive]
    codes: list[CodeCount]
    days: dict[str, list[int]]
    before_a_day: float
    outcomes: dict[str, Counter[str]]
    quality: Scores
    vendors: list[dict[str, Any]]
    models: list[dict[str, Any]]
    due: list[Overdue]
    worst: list[Worst]

    @property
    def flags(self) -> int:
        """Flags that began in the period."""
        return sum(each.flags for each in self.codes)

    @property
    def flags_before(self) -> int:
        """Flags that began in the period before."""
        return sum(each.before for each in self.codes)


def district(seen: Seen, counts: QualityCounts, region: str | None, period: Period) -> District:
    """Counts all of it.

    Args:
        seen: whose eyes.
        counts: of quality, kept by day.
        region: a beginning of a GB/T 2260 code; None for all that is seen.
        period: the week or month.

    Raises:
        AccessDenied: the region is not within the scope, or places are not seen.
    """
    scope = seen.narrowed(region if region is not None else "" if seen.scope.everything else None)
    here = Seen(seen.world, scope, seen.privacy)
    views, before = _flags(here, period), _flags(here, period.before)
    overall, by_device, vendors, models = _quality(here, counts, period)
    return District(
        scope=scope,
        period=period,
        kinds=_alive(here, period),
        codes=_codes(views, before),
        days=_by_day(views, period),
        before_a_day=len(before) / len(period.before.days),
        outcomes=_outcomes(views),
        quality=overall,
        vendors=vendors,
        models=models,
        due=_due(here, period),
        worst=_worst(views, by_device),
    )


# --- instruments


def _alive(seen: Seen, period: Period) -> dict[str, Alive]:
    directory = seen.world.directory
    now, then = _heard(seen, period), _heard(seen, period.before)
    found: dict[str, Alive] = {}
    for name in directory.ids(seen.scope):
        device, summaries = directory.registry.get(name), directory.summaries.get(name, ())
        summary = directory.summary(name)
        kind = summary.kind if summary else (device and device.kind) or "unknown"
        first = min((each.first_measured_at for each in summaries), default=None)
        if device is None and (first is None or first >= period.end):
            continue  # nobody knew of it in this period
        of_kind = found.setdefault(kind, Alive())
        of_kind.known += 1
        of_kind.before += name in then
        if name in now:
            of_kind.alive += 1
        elif first is not None and first < period.end:
            of_kind.silent += 1
        else:
            of_kind.never += 1
    return dict(sorted(found.items()))


def _heard(seen: Seen, period: Period) -> set[str]:
    """The devices of which something was measured in a period."""
    among = None if seen.scope.everything else seen.world.directory.ids(seen.scope)
    only = "" if among is None else " AND device_id IN (SELECT value FROM chosen)"
    every = " UNION ".join(
        f"SELECT device_id FROM {table(kind)} WHERE measured_at >= make_timestamp_ns($1) "
        f"AND measured_at < make_timestamp_ns($2){only}"
        for kind in KINDS
    )
    found = seen.world.store.ask(every, [period.begin, period.end], chosen=among)
    return {name for (name,) in found}


# --- flags


def _flags(seen: Seen, period: Period) -> list[FlagView]:
    """Flags that began in a period, with what people have said of them; not those withdrawn."""
    among = None if seen.scope.everything else seen.world.directory.ids(seen.scope)
    clause, parameters = rows.where(
        {rows.time_bound("since", ">="): period.begin, rows.time_bound("since", "<"): period.end}
    )
    if among is not None:
        clause += " AND device_id IN (SELECT value FROM chosen)"
    found = seen.world.store.ask(
        f"SELECT {rows.FLAG_COLUMNS} FROM flags{clause} ORDER BY flags.since, id",
        parameters,
        chosen=among,
    )
    desk = Desk(seen.world.store, seen.world.casebook, seen.world.directory.registry)
    flags = [rows.flag(row) for row in found]
    return [view for view in desk.viewed(flags) if view.status != "withdrawn"]


def _codes(views: list[FlagView], before: list[FlagView]) -> list[CodeCount]:
    found: dict[tuple[str, str], CodeCount] = {}
    for view, is_now in (*((each, True) for each in views), *((each, False) for each in before)):
        flag = view.flag
        key = flag.code, flag.severity
        count = found.setdefault(key, CodeCount(*key))
        if is_now:
            count.flags += 1
            count.devices.add(flag.device_id)
        else:
            count.before += 1
    return sorted(
        found.values(),
        key=lambda each: (_SEVERITIES.index(each.severity), -each.flags, -each.before, each.code),
    )


def _by_day(views: list[FlagView], period: Period) -> dict[str, list[int]]:
    begins = [begin for _, begin, _ in days(period.first, period.last, ZONE)]
    found = {severity: [0] * len(begins) for severity in _SEVERITIES}
    for view in views:
        found[view.flag.severity][bisect_right(begins, view.flag.since) - 1] += 1
    return found


def _outcomes(views: list[FlagView]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for severity in _SEVERITIES:
        of_severity = Counter(view.status for view in views if view.flag.severity == severity)
        if of_severity:
            found[severity] = of_severity
    return found


def _worst(views: list[FlagView], quality: dict[str, float]) -> list[Worst]:
    found: dict[str, Worst] = {}
    for view in views:
        flag = view.flag
        if view.status in {"dismissed", "suppressed"}:
            continue
        of_device = found.setdefault(flag.device_id, Worst(flag.device_id, Counter(), Counter()))
        of_device.severities[flag.severity] += 1
        of_device.codes[flag.code] += 1
    worst = sorted(found.values(), key=lambda each: (each.rank, each.device_id))[:WORST]
    for each in worst:
        each.quality = quality.get(each.device_id)
    return worst


# --- quality and verifications


def _quality(
    seen: Seen, counts: QualityCounts, period: Period
) -> tuple[Scores, dict[str, float], list[dict[str, Any]], list[dict[str, Any]]]:
    """Scores of all, of each device, and the rows by vendor and by model."""

    def lines(by: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - one of a few words
        choice = QualityChoice(first=period.first, last=period.last, zone=ZONE, by=by, total=True)
        cursor: str | None = None
        while True:
            page = quality_queries.page(seen, counts, choice, cursor=cursor, limit=_QUALITY_ROWS)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    every = list(lines("device"))
    whole = Counts()
    for line in every:
        whole.add(msgspec.convert({n: line[n] for n in Counts.__struct_fields__}, Counts))
    by_device = {str(line["device"]): line["overall"] for line in every if "overall" in line}
    return scores(whole), by_device, list(lines("vendor")), list(lines("model"))


def _due(seen: Seen, period: Period) -> list[Overdue]:
    members = seen.world.directory.members(seen.scope)
    registry = seen.world.directory.registry
    found = [
        each
        for each in overdue(registry, period.end, period.end + DUE_DAYS * DAY)
        if each.device.device_id in members
    ]
    order = {"expired": 0, "expiring": 1, "missing": 2}
    return sorted(found, key=lambda e: (order[e.state], e.until or 0, e.device.device_id))
