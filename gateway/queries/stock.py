"""The wet-stock balance of tanks, struck again by the check's own code over what the store has.

The books are those of `gateway.checks.wet_stock`: litres at 20 Cel, days that begin at midnight
UTC, deliveries left out with the spans beside them, and the check's tolerance.  What the check
leaves out of a day's book because it is told at once (a sudden loss) is part of the difference.
"""
# ruff: noqa: S608 - what is put into statements is our own names; users' values are parameters

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from gateway.checks.surroundings import Apart
from gateway.checks.tanks import Book, Weighed
from gateway.checks.wet_stock import SURPLUS, Nozzle, Stock
from gateway.devices import Registry
from gateway.profiles.layout import Layout
from gateway.queries.check_settings import settings_of
from gateway.records import Reading
from gateway.store.schema import table
from gateway.times import DAY, SECOND, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gateway.checks.drawing import Place
    from gateway.checks.settings import CheckSettings
    from gateway.queries.seen import Seen

KIND: Final = "fuel_dispenser"
MOST_ROWS: Final = 60_000
"""Readings that are looked at for one balance; of more, the oldest days are left out."""
LEAD: Final = DAY
"""What is read before the first day: where totalisers and gauges stood."""
_POINTS: Final = 320
_AHEAD: Final = 60 * SECOND
_PATIENCE: Final = 3 * 3_600 * SECOND
"""For how long it is usual that some dispenser has not reported yet."""
_SALE: Final = ("volume", "started_at", "ended_at", "totaliser_volume", "temperature", "density")
_GAUGE: Final = ("tank_volume", "tank_temperature")
_COLUMNS: Final = (
    "device_id, event, channel, epoch_ns(measured_at), epoch_ns(received_at), ledger_offset, "
    "profile, volume, epoch_ns(started_at), epoch_ns(ended_at), totaliser_volume, temperature, "
    "density, tank_volume, tank_temperature"
)
_READ: Final = (
    f"SELECT {_COLUMNS} FROM {table(KIND)} WHERE device_id IN (SELECT value FROM chosen) "
    "AND device_id BETWEEN ? AND ? AND event IN ('transaction', 'periodic') "
    "AND measured_at >= make_timestamp_ns(?) "
    f"AND measured_at < make_timestamp_ns(?) ORDER BY measured_at DESC, position DESC "
    f"LIMIT {MOST_ROWS}"
)


class Told(msgspec.Struct):
    """What nozzles told of one tank: litres as shown, and sales, by dispenser and nozzle."""

    sold: dict[Place, float] = {}
    sales: dict[Place, int] = {}


class Struck(NamedTuple):
    """The balances of some tanks; ``since`` is later than asked where there is too much to read."""

    since: int
    stock: Stock
    weighed: dict[Place, list[Weighed]]
    told: Told


def strike(seen: Seen, places: Sequence[Place], since: int, until: int) -> Struck:
    """Strikes the balances of some tanks again.

    Args:
        seen: who looks; that the devices may be seen is for the caller to know.
        places: the tanks.
        since: ns, the midnight at which the first day begins.
        until: ns, not included.
    """
    relations = seen.world.directory.relations
    dispensers = {name for place in places for name in relations.drawing.get(place, ())}
    names = sorted(dispensers | {place[0] for place in places})
    found = seen.world.store.ask(_READ, [names[0], names[-1], since - LEAD, until], chosen=names)
    found.reverse()
    if len(found) == MOST_ROWS:
        since = max(since, (found[0][3] // DAY + 2) * DAY)
    registry = seen.world.directory.registry
    known = Registry(version for name in names for version in registry.versions(name))
    settings = _settings(seen, known, found, places)
    weighed: dict[Place, list[Weighed]] = {place: [] for place in places}

    def watch(place: Place, step: Weighed) -> None:
        if place in weighed and step.after.at > since:
            weighed[place].append(step)

    again = _Again(known, settings, watch)
    told = Told()
    for row in found:
        again.take(row)
        if row[1] == "transaction" and row[3] >= since and row[7] is not None:
            nozzle = (row[0], row[2] or "")
            told.sold[nozzle] = told.sold.get(nozzle, 0.0) + row[7]
            told.sales[nozzle] = told.sales.get(nozzle, 0) + 1
    return Struck(since, again.stock, weighed, told)


class _Again:
    """The check of three layouts: sales, gauges, and what else a dispenser reports."""

    def __init__(self, known: Registry, settings: CheckSettings, watch: Any) -> None:  # noqa: ANN401 - see Stock
        groups: dict[str, Any] = {}
        self._surroundings = [
            Apart(_layout(event, names), settings, known, groups)
            for event, names in (("transaction", _SALE), ("periodic", _GAUGE), ("periodic", ()))
        ]
        self.sales, self.stock, self.rest = (Stock(each, watch) for each in self._surroundings)
        self._nozzles: dict[Place, Nozzle] = {}
        self._heard: dict[str, int] = {}

    def take(self, row: tuple[Any, ...]) -> None:
        """One row of the store, in the order of measurement."""
        device_id, event, channel, measured, received = row[:5]
        at = received if received - measured < -_AHEAD else measured
        for each in self._surroundings:
            each.clock = max(each.clock, at)
        nozzle = self._nozzles.setdefault((device_id, channel or ""), Nozzle())
        if event == "transaction":
            self.sales.sale(nozzle, None, _reading(row, _SALE, row[7:13]), at, False, [])
        elif row[13] is not None:
            self.stock.gauge(nozzle, None, _reading(row, _GAUGE, row[13:15]), at, False, [])
        elif at > self._heard.get(device_id, 0):
            # One of the many channels that a dispenser reports at once is enough.
            self.rest.alive(nozzle, None, _reading(row, (), ()), at, False, [])
        self._heard[device_id] = max(at, self._heard.get(device_id, 0))


def _layout(event: str, names: tuple[str, ...]) -> Layout:
    return Layout(KIND, event, "", names, {}, None, sequence_per_channel=False, measured=True)


def _reading(row: tuple[Any, ...], names: tuple[str, ...], values: tuple[Any, ...]) -> Reading:
    return Reading(
        row[0], KIND, row[1], row[2], row[3], row[4], None, "raw", (), None, row[6], row[5],
        names, values,
    )  # fmt: skip


def _settings(
    seen: Seen, known: Registry, found: Sequence[tuple[Any, ...]], places: Sequence[Place]
) -> CheckSettings:
    """What the gauge's profile, its region and the gauge itself set; one gauge speaks for all."""
    gauges = {place[0] for place in places}
    row = next((row for row in reversed(found) if row[0] in gauges and row[13] is not None), None)
    return settings_of(seen, known, None if row is None else _reading(row, (), ()), SURPLUS, KIND)


def record(struck: Struck, place: Place) -> dict[str, Any]:
    """The balance of one tank: litres at 20 Cel, days, deliveries, a line for a plot."""
    steps = struck.weighed[place]
    days = list(_days(struck.stock, steps))
    difference = days[-1]["cumulative"] if days else None
    tolerance = days[-1]["cumulative_tolerance"] if days else None
    return {
        "unit": "L",
        "opening": steps[0].before.volume if steps else None,
        "closing": steps[-1].after.volume if steps else None,
        "delivered": sum(day["delivered"] for day in days),
        "sold": sum(day["sold"] for day in days),
        "difference": difference,
        "tolerance": tolerance,
        "verdict": verdict(difference, tolerance),
        "judged_until": rfc3339(steps[-1].after.at) if steps else None,
        "waiting_for": struck.stock.missing(place, _PATIENCE),
        "days": days,
        "deliveries": list(_deliveries(steps)),
        "line": _line(struck.stock, steps),
    }


def verdict(difference: float | None, tolerance: float | None) -> str:
    """What a difference says: ``balanced``, ``surplus``, ``loss``, or ``unknown``."""
    if difference is None or tolerance is None:
        return "unknown"
    if abs(difference) <= tolerance:
        return "balanced"
    return "surplus" if difference > 0 else "loss"


def _sold(step: Weighed) -> float:
    """What was sold between two gauge readings, by what is known by now."""
    return step.sold if step.span.hides else step.sold + step.span.variance - step.variance


def _difference(step: Weighed) -> float:
    return 0.0 if step.span.hides else step.span.variance


def _day(step: Weighed) -> int:
    return (step.after.at - 1) // DAY


def _days(stock: Stock, steps: Iterable[Weighed]) -> Iterator[dict[str, Any]]:
    """Day by day, and added up since the first of them."""
    whole = Book()
    cumulative = 0.0
    for day, group in groupby(steps, _day):
        of_day = list(group)
        book = of_day[-1].book
        whole = _added(whole, book)
        difference = sum(map(_difference, of_day))
        cumulative += difference
        tolerance = stock.tolerance(book)
        yield {
            "from": rfc3339(day * DAY),
            "opening": of_day[0].before.volume,
            "closing": of_day[-1].after.volume,
            "delivered": sum(step.variance for step in of_day if step.span.hides),
            "sold": sum(map(_sold, of_day)),
            "difference": difference,
            "tolerance": tolerance,
            "verdict": verdict(difference, tolerance),
            "cumulative": cumulative,
            "cumulative_tolerance": stock.tolerance(whole),
            "hours": sum(step.after.at - step.before.at for step in of_day) / (3_600 * SECOND),
        }


def _added(one: Book, other: Book) -> Book:
    """Two books as one, as the check adds up days: the gauge's noise enters at both ends only."""
    return Book(
        other.day,
        one.variance + other.variance,
        one.sold + other.sold,
        one.ends + other.ends - 1,
        one.untold + other.untold,
    )


def _deliveries(steps: Iterable[Weighed]) -> Iterator[dict[str, Any]]:
    """What tankers brought: what the gauge rose by, and what was sold meanwhile."""
    for hides, group in groupby(steps, lambda step: step.span.hides):
        if hides:
            of_one = list(group)
            yield {
                "from": rfc3339(of_one[0].before.at),
                "to": rfc3339(of_one[-1].after.at),
                "volume": sum(step.variance for step in of_one),
            }


def _line(stock: Stock, steps: Sequence[Weighed]) -> dict[str, list[Any]]:
    """Stock, added-up difference and its tolerance at gauge readings, few enough for a plot."""
    line: dict[str, list[Any]] = {"at": [], "stock": [], "difference": [], "tolerance": []}
    every = -(-len(steps) // _POINTS) or 1
    difference = sold = 0.0
    before, book = Book(), Book()
    for place, step in enumerate(steps):
        if book is not step.book:
            before, book, sold = _added(before, book), step.book, 0.0
        difference += _difference(step)
        sold += 0.0 if step.span.hides else _sold(step)
        if place % every and place != len(steps) - 1 and not step.span.hides:
            continue
        line["at"].append(rfc3339(step.after.at))
        line["stock"].append(round(step.after.volume, 1))
        line["difference"].append(round(difference, 2))
        so_far = msgspec.structs.replace(book, sold=min(sold, book.sold))
        line["tolerance"].append(round(stock.tolerance(_added(before, so_far)), 2))
    return line
