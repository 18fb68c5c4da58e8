"""``wet_stock_surplus`` and ``wet_stock_loss``: what left a tank against what was sold from it.

Book and gauge, both at 20 Cel: the *variance* over a span is what the gauge rose by plus what the
nozzles sold.  It is 0 where pumps measure right; above 0 the tank dropped by less than was sold
(short measure, whatever the pump says of its pulses), below 0 by more (leak, theft, sales that are
not told).  Gauge readings in the middle of a sale are left out, so is a delivery; between
deliveries the gauge's noise enters at both ends only.
"""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from pydantic import Field

from gateway.checks.drawing import Place, Relation, nozzles_of, poured_back, relation_of, tank_of
from gateway.checks.findings import finding, renewed
from gateway.checks.lasting import begin, end, go_on
from gateway.checks.parameters import Positive, Settings
from gateway.checks.petroleum import at_20
from gateway.checks.series import Series, SeriesCheck
from gateway.checks.tanks import (
    DAY,
    UNTOLD,
    Book,
    Point,
    Sale,
    Span,
    Tank,
    Weighed,
    is_busy,
    remember,
    untold,
)
from gateway.devices import having, valid_at
from gateway.records import Flag
from gateway.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.checks.bound import Bound, Track
    from gateway.checks.surroundings import Surroundings
    from gateway.records import Reading

SURPLUS: Final = "wet_stock_surplus"
LOSS: Final = "wet_stock_loss"
_SECOND: Final = 10**9
_HOUR: Final = 3_600 * _SECOND
_LONGEST_SALE: Final = 1_800 * _SECOND
_WINDOWS: Final = (1, 3, 7)
_MOST_POINTS: Final = 96
_MOST_SALES: Final = 4_096
_SETTLING: Final = 6 * _HOUR
"""A day is judged so long after it: what is sold late in it may be told late."""
_GASOLINE: Final = 745.0
"""kg/m3 at 15 Cel, where neither registry nor sale tells it."""


class WetStockSettings(Settings):
    """When a tank does not balance.

    Attributes:
        share: of the litres sold that the variance may be.
        gauge_noise: L, one standard deviation of a gauge reading.
        noises: standard deviations that it may be beyond the share.
        sudden: L that may be missing at once.
        delivery: L by which the level rises at once only when a tanker delivers.
        wait: hours that a dispenser's sales are waited for.
    """

    share: Annotated[float, Field(gt=0, lt=1)] = 0.005
    gauge_noise: Positive = 1.5
    noises: Positive = 5.0
    sudden: Positive = 100.0
    delivery: Positive = 250.0
    wait: Positive = 48.0


class Nozzle(msgspec.Struct, array_like=True):
    """The totaliser after the last sale, and when that began and ended."""

    totaliser: float = -1.0
    ended_at: int = 0
    started_at: int = -1


def _make(bound: Bound) -> SeriesCheck | None:
    names = bound.layout.names
    if not having(bound.devices, "tank_channel"):
        return None
    stock = Stock(bound)
    if bound.layout.event == "transaction" and {"volume", "started_at", "ended_at"} <= set(names):
        return SeriesCheck(SURPLUS, Nozzle, per_channel=True, run=stock.sale)
    if bound.layout.event == "periodic":
        gauge = "tank_volume" in names
        return SeriesCheck(
            SURPLUS, Nozzle, per_channel=True, run=stock.gauge if gauge else stock.alive
        )
    return None


def _make_loss(bound: Bound) -> SeriesCheck | None:
    """One memory judges both; where the one is off, the other does it."""
    return _make(bound) if SURPLUS in bound.settings.off else None


class Stock:
    """The tanks of a registry, for one layout.

    Args:
        bound: what is judged by.
        watch: is told what lay between two gauge readings, of which tank.
    """

    def __init__(
        self, bound: Surroundings, watch: Callable[[Place, Weighed], None] | None = None
    ) -> None:
        self._bound = bound
        self._watch = watch
        self._index = {name: index for index, name in enumerate(bound.layout.names)}
        self._settings = bound.settings.of(SURPLUS, WetStockSettings)
        self._drawing: dict[Place, list[str]] = {}
        self._relations: dict[tuple[str, int | None], Relation] = {}
        for name, versions in having(bound.devices, "tank_channel").items():
            for version in versions:
                for nozzle in nozzles_of(version):
                    tank = tank_of(version, nozzle)
                    if tank is not None and name not in self._drawing.setdefault(tank, []):
                        self._drawing[tank].append(name)

    def sale(
        self,
        nozzle: Nozzle,
        _track: Track | None,
        reading: Reading,
        at: int,
        _late: bool,
        flags: list[Flag],
    ) -> None:
        """A sale leaves its tank."""
        relation = self._relation(reading.device_id, at)
        found = relation.by_nozzle.get(reading.channel or "") if relation else None
        if relation is None or found is None:
            return
        tank = self._tank(found)
        volume = self._value(reading, "volume")
        started, ended = (self._time(reading, name) for name in ("started_at", "ended_at"))
        total = self._value(reading, "totaliser_volume")
        if (
            volume is not None
            and started is not None
            and ended is not None
            and not _told(nozzle, started, total)
        ):
            nozzle.started_at = started
            # Of a clock that is ahead only how long it took is true.
            ahead = reading.measured_at - at if reading.measured_at > at else 0
            started, ended = started - ahead, ended - ahead
            warmth = self._value(reading, "temperature")
            density = self._density(found) or self._value(reading, "density") or _GASOLINE
            factor = at_20(tank.temperature if warmth is None else warmth, density)
            if total is not None:
                more = total - nozzle.totaliser - volume if nozzle.totaliser >= 0 else 0.0
                if UNTOLD < more < self._settings.delivery * 10:
                    span = (nozzle.ended_at, started)
                    untold(tank, span, more * factor, self._settings.gauge_noise)
                nozzle.totaliser, nozzle.ended_at = total, ended
            if not poured_back(relation, ended, volume):
                insort(tank.sales, Sale(started, ended, volume * factor))
            del tank.sales[:-_MOST_SALES]
        self._seen(relation, reading, at, flags)

    def alive(
        self,
        _nozzle: Nozzle,
        _track: Track | None,
        reading: Reading,
        at: int,
        _late: bool,
        flags: list[Flag],
    ) -> None:
        """A dispenser that reports something has told of all sales before it."""
        self._seen(self._relation(reading.device_id, at), reading, at, flags)

    def gauge(
        self,
        _nozzle: Nozzle,
        _track: Track | None,
        reading: Reading,
        at: int,
        late: bool,
        flags: list[Flag],
    ) -> None:
        """A level of a tank."""
        found = (reading.device_id, reading.channel or "")
        volume = self._value(reading, "tank_volume")
        if found in self._drawing and volume is not None and not late:
            tank = self._tank(found)
            warmth = self._value(reading, "tank_temperature")
            if warmth is not None:
                tank.temperature = warmth
            factor = at_20(tank.temperature, self._density(found) or _GASOLINE)
            tank.gauge = (reading.device_id, reading.channel or "", reading.profile)
            tank.points.append(Point(at, volume * factor, reading.ledger_offset))
            del tank.points[:-_MOST_POINTS]
            self._judge(found, tank, reading, flags)
        self._seen(self._relation(reading.device_id, at), reading, at, flags)

    def _value(self, reading: Reading, name: str) -> float | None:
        index = self._index.get(name)
        value = None if index is None else reading.values[index]
        return None if value is None or isinstance(value, str) else float(value)

    def _time(self, reading: Reading, name: str) -> int | None:
        value = reading.values[self._index[name]]
        return value if isinstance(value, int) else None

    def _tank(self, found: Place) -> Tank:
        return self._bound.group(SURPLUS, "\t".join(found), Tank)

    def _density(self, found: Place) -> float | None:
        gauge = self._bound.devices.get(found[0])
        tanks = gauge.parameters.get("tanks") if gauge else None
        told = tanks.get(found[1]) if isinstance(tanks, dict) else None
        density = told.get("density_15") if isinstance(told, dict) else None
        return float(density) if isinstance(density, int | float) else None

    def _relation(self, name: str, at: int) -> Relation | None:
        """What a device draws from, by its registry as of then."""
        device = valid_at(self._bound.devices, name, at)
        if device is None:
            return None
        key = (name, device.valid_from)
        relation = self._relations.get(key)
        if relation is None:
            relation = self._relations[key] = relation_of(device, self._bound.devices)
        return relation

    def _seen(
        self, relation: Relation | None, reading: Reading, at: int, flags: list[Flag]
    ) -> None:
        """The device has told of all its sales up to now."""
        for found in relation.tanks if relation is not None else ():
            tank = self._tank(found)
            if at > tank.seen.get(reading.device_id, 0):
                tank.seen[reading.device_id] = at
            if tank.points and tank.points[0].at + _LONGEST_SALE <= at:
                self._judge(found, tank, reading, flags)

    def _judge(self, found: Place, tank: Tank, reading: Reading, flags: list[Flag]) -> None:
        """Takes the gauge readings up to which all sales are known."""
        while tank.points:
            point = tank.points[0]
            known = not any(
                tank.seen.get(name, 0) < point.at + _LONGEST_SALE
                and self._draws(name, found, point.at)
                for name in self._drawing[found]
            )
            if not known:
                if self._bound.clock <= point.at + self._settings.wait * _HOUR:
                    return
                tank.anchor = None  # sales may be missing: begin anew
                self._bound.not_judged(SURPLUS, "a dispenser of the tank is silent")
            del tank.points[0]
            if known:
                stub = msgspec.structs.replace(
                    reading,
                    device_id=tank.gauge[0],
                    channel=tank.gauge[1],
                    profile=tank.gauge[2],
                    measured_at=point.at,
                    ledger_offset=point.offset,
                )
                self._take(tank, point, stub, flags)

    def missing(self, found: Place, patience: int) -> list[str]:
        """The dispensers that a gauge reading has waited for, for longer than some nanoseconds."""
        tank = self._tank(found)
        if not tank.points or self._bound.clock - tank.points[0].at < patience:
            return []
        at = tank.points[0].at
        return [
            name
            for name in self._drawing.get(found, ())
            if tank.seen.get(name, 0) < at + _LONGEST_SALE and self._draws(name, found, at)
        ]

    def _draws(self, name: str, found: Place, at: int) -> bool:
        relation = self._relation(name, at)
        return relation is not None and found in relation.tanks

    def _take(self, tank: Tank, point: Point, reading: Reading, flags: list[Flag]) -> None:
        """One gauge reading, in order."""
        if is_busy(tank.sales, point.at):
            return
        sold = sum(sale.volume for sale in tank.sales if sale.ended_at < point.at)
        tank.sales = [sale for sale in tank.sales if sale.ended_at >= point.at]
        self._turn(tank, point, reading, flags)
        anchor, tank.anchor = tank.anchor, point
        if anchor is None or point.at <= anchor.at:
            return
        variance = point.volume - anchor.volume + sold
        self._weigh(tank, (anchor, variance, sold), reading, flags)
        if self._watch is not None:
            moved = Weighed(anchor, point, sold, variance, tank.spans[-1], tank.today)
            self._watch((reading.device_id, reading.channel or ""), moved)

    def _weigh(
        self,
        tank: Tank,
        step: tuple[Point, float, float],
        reading: Reading,
        flags: list[Flag],
    ) -> None:
        """What lay between two gauge readings: a delivery, much that is gone, or what counts."""
        settings = self._settings
        _, variance, sold = step
        at = reading.measured_at
        if variance > settings.delivery:
            # The spans beside may have a part of it.
            self._count(tank, -tank.latest[0], -tank.latest[1])
            tank.latest, tank.settling = (0.0, 0.0), True
            tank.today.ends += 1
            if tank.spans:
                tank.spans[-1].counted, tank.spans[-1].hides = False, True
            remember(tank, Span(at, 0.0, counted=False, hides=True))
        elif tank.settling:
            tank.settling = False
            remember(tank, Span(at, 0.0, counted=False, hides=True))
        elif variance < -settings.sudden - settings.share * sold:
            tank.today.ends += 1
            remember(tank, Span(at, variance, counted=False))
            self._sudden(tank, step, reading, flags)
            return
        else:
            self._count(tank, variance, sold)
            remember(tank, Span(at, variance, counted=True))
        tank.sudden = None

    def _turn(self, tank: Tank, point: Point, reading: Reading, flags: list[Flag]) -> None:
        """Begins a new day, and judges the one before once it has settled."""
        if (point.at - 1) // DAY != tank.today.day:
            if tank.open:
                self._close_day(tank, reading, flags)
            if tank.today.sold > 0:
                tank.days.append(tank.today)
                del tank.days[: -_WINDOWS[-1]]
                tank.open = True
            tank.today = Book((point.at - 1) // DAY)
            tank.latest = (0.0, 0.0)
        if tank.open and point.at >= (tank.days[-1].day + 1) * DAY + _SETTLING:
            self._close_day(tank, reading, flags)

    @staticmethod
    def _count(tank: Tank, variance: float, sold: float) -> None:
        tank.today.variance += variance
        tank.today.sold += sold
        tank.latest = (variance, sold)

    def _sudden(
        self,
        tank: Tank,
        gone: tuple[Point, float, float],
        reading: Reading,
        flags: list[Flag],
    ) -> None:
        """Much is gone between two gauge readings; what goes on is the same flag."""
        anchor, variance, sold = gone
        if tank.sudden is not None:
            flag = renewed(
                tank.sudden,
                {"observed": tank.sudden.evidence["observed"] + variance},
                until=reading.measured_at,
                measured_at=reading.measured_at,
            )
        else:
            evidence = {
                "observed": variance,
                "expected": 0.0,
                "tolerance": self._settings.sudden + self._settings.share * sold,
                "unit": "L",
                "formula": "variance = gauge - gauge before + sold, at 20 Cel",
                "inputs": {
                    "gauge": anchor.volume + variance - sold,
                    "gauge_before": anchor.volume,
                    "gauge_before_at": rfc3339(anchor.at),
                    "sold": sold,
                },
                "days": 0,
            }
            flag = finding(
                reading,
                LOSS,
                evidence,
                occasion=f"sudden {anchor.at}",
                channel=reading.channel,
                since=anchor.at,
            )
        tank.sudden = flag
        self._bound.emit(flag, flags)

    def _close_day(self, tank: Tank, reading: Reading, flags: list[Flag]) -> None:
        tank.open = False
        day = tank.days[-1].day
        found: dict[str, dict[str, Any]] = {}
        for window in _WINDOWS:
            days = [book for book in tank.days if book.day > day - window]
            book = Book(
                days[0].day,
                sum(day.variance for day in days),
                sum(day.sold for day in days),
                1 + sum(day.ends - 1 for day in days),
                sum(day.untold for day in days),
            )
            tolerance = self.tolerance(book)
            if abs(book.variance) > tolerance:
                code = SURPLUS if book.variance > 0 else LOSS
                found.setdefault(code, self._evidence(book, tolerance, window))
        until = (day + 1) * DAY
        for code, lasting in ((SURPLUS, tank.surplus), (LOSS, tank.loss)):
            evidence = found.get(code)
            own: list[Flag] = []
            if evidence is not None and lasting.flag is not None:
                go_on(lasting, until, evidence, own)
            elif evidence is not None:
                since = (day + 1 - evidence["days"]) * DAY
                flag = finding(
                    reading,
                    code,
                    evidence,
                    occasion=f"{day}",
                    channel=reading.channel,
                    since=since,
                    until=until,
                )
                begin(lasting, flag, own)
            elif lasting.flag is not None:
                end(lasting, own)
            for flag in own:
                self._bound.emit(flag, flags)

    def tolerance(self, book: Book) -> float:
        """L that the variance of a day, or of several, may be off by."""
        settings = self._settings
        noise: float = settings.gauge_noise * (2 * book.ends) ** 0.5
        return settings.share * book.sold + settings.noises * noise + book.untold

    def _evidence(self, book: Book, tolerance: float, days: int) -> dict[str, Any]:
        return {
            "observed": book.variance,
            "expected": 0.0,
            "tolerance": tolerance,
            "unit": "L",
            "formula": "variance = sum of (gauge - gauge before + sold), at 20 Cel; "
            "tolerance = share x sold + noises x gauge_noise x sqrt(2 x ends) + untold",
            "inputs": {
                "sold": book.sold,
                "ends": book.ends,
                "untold": book.untold,
                "share": self._settings.share,
                "noises": self._settings.noises,
                "gauge_noise": self._settings.gauge_noise,
            },
            "days": days,
        }


def _told(nozzle: Nozzle, started: int, total: float | None) -> bool:
    """Whether a sale left the tank before: told twice, or in what the totaliser stepped by."""
    if started == nozzle.started_at:
        return True
    return started < nozzle.started_at and total is not None and total <= nozzle.totaliser


WET_STOCK_SURPLUS: Final = Series(SURPLUS, WetStockSettings, _make)
WET_STOCK_LOSS: Final = Series(LOSS, WetStockSettings, _make_loss)
