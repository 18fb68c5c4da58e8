"""The price of a sale or a charge against the posted list: ``price_mismatch``.

The list stands in the registry (``price_list``: rows of product, unit_price, from, until, and
``hours`` for a price by time of use); the row in force when the sale began counts.  Around a change
of price either price is right: stations post and dispensers take it over within minutes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field

from gateway.checks.episodes import Episode, right, wrong
from gateway.checks.findings import finding, occasion_of, unit_of
from gateway.checks.parameters import NotNegative, Settings
from gateway.checks.registered import Registered
from gateway.checks.series import Series, SeriesCheck
from gateway.devices import EVER, LATEST
from gateway.times import nanoseconds, rfc3339

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.records import Device, Flag, Reading

_SECOND: Final = 10**9
_ENERGY: Final = "energy"
_ROUNDING: Final = 1e-9
_MOST_ROWS: Final = 10_000
_PRICES: Final = {"fuel_dispenser": "unit_price", "ev_charger": "energy_price"}


class PriceSettings(Settings):
    """When a price is the posted one.

    Attributes:
        tolerance: in currency for a litre or kWh: half a step of the posted price.
        grace: seconds around a change of price in which either is right.
        settle_after: right sales in a row that end the condition.
    """

    tolerance: NotNegative = 0.005
    grace: NotNegative = 900.0
    settle_after: Annotated[int, Field(ge=1)] = 10


class Row(NamedTuple):
    """One row of a list: in force from ``since`` until before ``until``, at these local hours."""

    since: int
    until: int
    price: float
    hours: frozenset[int] | None


class Prices(NamedTuple):
    """A price list by product; ``zone`` is that of its hours, None where no row has any.

    ``lately`` are the rows that were found last: most sales are of the same.
    """

    rows: dict[str, tuple[Row, ...]]
    zone: ZoneInfo | None
    lately: dict[str, Row]


def read_list(device: Device, channel: str | None = None) -> Prices | None:
    """The price list of a version of a device; None where it has none that can be read."""
    del channel
    told = device.parameters.get("price_list")
    if not isinstance(told, list) or len(told) > _MOST_ROWS:
        return None
    rows: dict[str, list[Row]] = {}
    try:
        for each in told:
            hours = each.get("hours")
            row = Row(
                nanoseconds(each["from"]) if each.get("from") else EVER,
                nanoseconds(each["until"]) if each.get("until") else LATEST,
                float(each["unit_price"]),
                None if hours is None else frozenset(map(int, hours)),
            )
            rows.setdefault(_name(each.get("product") or ""), []).append(row)
        zone = ZoneInfo(str(device.parameters.get("time_zone") or "Asia/Shanghai"))
    except (AttributeError, KeyError, TypeError, ValueError, ZoneInfoNotFoundError):
        return None
    by_hour = any(row.hours is not None for each in rows.values() for row in each)
    return Prices({name: tuple(each) for name, each in rows.items()}, zone if by_hour else None, {})


def _name(product: str) -> str:
    """A product as lists and dispensers write it: ``92#`` is ``92``."""
    return product.strip().rstrip("#号").casefold()


def posted(prices: Prices, rows: tuple[Row, ...], at: int, grace: int) -> list[Row]:
    """The rows that are in force within ``grace`` of a time, the one at the time itself first."""
    found: list[Row] = []
    for moment in (at, at - grace, at + grace) if grace else (at,):
        hour = _hour(prices.zone, moment)
        for row in rows:
            in_force = row.since <= moment < row.until
            if in_force and (row.hours is None or hour in row.hours) and row not in found:
                found.append(row)
    return found


def _hour(zone: ZoneInfo | None, at: int) -> int:
    if zone is None:
        return 0
    return datetime.fromtimestamp(at // _SECOND, UTC).astimezone(zone).hour


def _in_force(
    prices: Prices, product: str, reading: Reading, started: int, grace: int
) -> list[Row]:
    """The rows that a sale may follow: by its beginning, and by the time of receipt.

    A clock that is wrong is flagged as such; by the time of receipt its price may be right.
    """
    rows = prices.rows.get(product) or prices.rows.get(_name(product))
    if rows is None and len(prices.rows) == 1 and not product:
        rows = next(iter(prices.rows.values()))
    if rows is None:
        return []
    found = posted(prices, rows, started, grace)
    on_arrival = started + reading.received_at - reading.measured_at
    return found + [row for row in posted(prices, rows, on_arrival, grace) if row not in found]


def _make(bound: Bound) -> SeriesCheck | None:
    names = bound.layout.names
    quantity = _PRICES.get(bound.layout.kind, "")
    if quantity not in names or bound.layout.event == "periodic":
        return None
    settings = bound.settings.of("price_mismatch", PriceSettings)
    at_price = names.index(quantity)
    at_start = names.index("started_at") if "started_at" in names else None
    at_product = names.index("product") if "product" in names else None
    tolerance, settle_after = settings.tolerance + _ROUNDING, settings.settle_after
    grace = round(settings.grace * _SECOND)
    lists = Registered(bound.devices, read_list)
    electric = bound.layout.kind == "ev_charger"

    def run(
        memory: Episode, _track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]
    ) -> None:
        values: tuple[Any, ...] = reading.values
        price = values[at_price]
        if price is None:
            return
        started = at if at_start is None else values[at_start] or at
        known = lists.of(reading.device_id, started)
        if not known:
            bound.not_judged("price_mismatch", "no price list that can be read")
            return
        prices = known[0]
        product = _ENERGY if electric else "" if at_product is None else values[at_product] or ""
        row = prices.lately.get(product)
        if (
            memory.now is None
            and row is not None
            and row.since <= started < row.until
            and -tolerance <= price - row.price <= tolerance
        ):
            return
        in_force = _in_force(prices, product, reading, started, grace)
        if not in_force:
            bound.not_judged("price_mismatch", "the list has no price of this product and time")
            return
        same = next((r for r in in_force if abs(price - r.price) <= tolerance), None)
        if same is not None:
            if prices.zone is None:
                prices.lately[product] = same
            if memory.now is not None and not late:
                right(memory, reading, settle_after, flags)
            return
        found = _flag(reading, quantity, price, in_force, settings=settings, started=started,
                      product=product, late=late)  # fmt: skip
        wrong(memory, reading, found, flags, late=late)

    return SeriesCheck("price_mismatch", Episode, True, run)


def _flag(
    reading: Reading,
    quantity: str,
    price: float,
    in_force: list[Row],
    *,
    settings: PriceSettings,
    started: int,
    product: str,
    late: bool,
) -> Flag:
    nearest = min(in_force, key=lambda row: abs(price - row.price))
    return finding(
        reading,
        "price_mismatch",
        {
            "observed": price,
            "expected": nearest.price,
            "tolerance": settings.tolerance,
            "unit": unit_of(reading, quantity),
            "difference": round(price - nearest.price, 6),
            "formula": f"{quantity} = the price posted when the sale began",
            "inputs": {
                "product": product,
                "started_at": rfc3339(started),
                "posted": [
                    {
                        "unit_price": row.price,
                        "from": None if row.since == EVER else rfc3339(row.since),
                        "until": None if row.until == LATEST else rfc3339(row.until),
                    }
                    for row in in_force
                ],
            },
            "judged_late": late,
        },
        occasion=occasion_of(reading),
        quantity=quantity,
        channel=reading.channel,
        severity="major" if price > nearest.price else "minor",
        since=min(started, reading.measured_at),
        until=reading.measured_at,
    )


PRICE_MISMATCH: Final = Series("price_mismatch", PriceSettings, _make)
