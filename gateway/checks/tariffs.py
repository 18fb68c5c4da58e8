"""Taxi tariffs as data, and the fare that a tariff gives for a trip.

The calculator knows no city.  A tariff counts either *apart* (distance in steps beyond a flagfall,
waiting time by full periods) or in *units* (a unit is a distance above the switching speed or a
time below it).  Where a trip leaves open what the fare depends on (how much of it was at night,
whether it was one way), the fare is an interval.  All money is exact decimals.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from gateway.errors import ProfileError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MODES = {"half_up": ROUND_HALF_UP, "up": ROUND_CEILING, "down": ROUND_FLOOR}
_ZERO, _ONE = Decimal(0), Decimal(1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_INSTANT = timedelta(microseconds=1)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _clock(value: object) -> object:
    # YAML 1.1 reads 23:00 as 1380, a number to base 60.
    return f"{value // 60:02d}:{value % 60:02d}" if isinstance(value, int) else value


Clock = Annotated[time, BeforeValidator(_clock)]
Money = Annotated[Decimal, Field(ge=0)]
Positive = Annotated[Decimal, Field(gt=0)]


class Hours(_Part):
    """A window of local time, ``start`` included, ``end`` not; over midnight where end < start.

    ``days``: 1 (Monday) to 7, empty for every day; a window over midnight belongs to the day on
    which it starts.
    """

    start: Clock
    end: Clock
    days: tuple[Annotated[int, Field(ge=1, le=7)], ...] = ()

    def contains(self, moment: datetime) -> bool:
        """Whether a local time is within the window."""
        clock, day = moment.time(), moment.date()
        if self.start <= self.end:
            inside = self.start <= clock < self.end
        else:
            inside = clock >= self.start or clock < self.end
            if clock < self.end:
                day -= timedelta(days=1)
        return inside and (not self.days or day.isoweekday() in self.days)


class Flagfall(_Part):
    """The price at the start and the distance, in km, that it includes."""

    price: Money
    includes: Money = _ZERO


class Step(_Part):
    """Price of a km from a distance (km) on, until the next step."""

    beyond: Money
    price: Money


class Peak(Hours):
    """A window in which a period of waiting costs the price of so many km."""

    kilometres: Money


class Waiting(_Part):
    """Each full ``every`` seconds below ``speed`` km/h cost the price of ``kilometres`` km."""

    speed: Positive
    every: Positive
    kilometres: Money
    peaks: tuple[Peak, ...] = ()


class Night(Hours):
    """A window in which a km costs ``factor`` times its price."""

    factor: Positive


class EmptyReturn(_Part):
    """One way beyond a distance (km) a km costs its price and this share of it more."""

    beyond: Money
    share: Money


class Unit(_Part):
    """Each ``distance`` km above ``speed`` km/h or ``every`` seconds below it, begun, costs this.

    Fractions of distance and time combine; the flagfall includes the first unit.
    """

    price: Money
    distance: Positive
    every: Positive
    speed: Positive


class Surcharge(_Part):
    """An amount beside the fare; for the reader, the fare is judged without it."""

    name: str
    amount: Money
    hours: Hours | None = None


class Rounding(_Part):
    """The shown fare is a multiple of ``step``."""

    step: Positive
    mode: Literal["half_up", "up", "down"]


class Tolerance(_Part):
    """What a shown fare may differ by, and why."""

    amount: Money
    reason: str


class Tariff(_Part):
    """A published tariff, its source and validity; ``doubts`` say what is unsure, by ``(?)``."""

    tariff: str
    title: dict[str, str]
    jurisdiction: str
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    zone: str
    valid_from: date
    valid_until: date | None = None
    sources: tuple[str, ...] = Field(min_length=1)
    doubts: tuple[str, ...] = ()
    flagfall: Flagfall
    distance: tuple[Step, ...] = ()
    waiting: Waiting | None = None
    unit: Unit | None = None
    night: Night | None = None
    empty_return: EmptyReturn | None = None
    surcharges: tuple[Surcharge, ...] = ()
    flat_fares: tuple[Money, ...] = ()
    rounding: Rounding
    tolerance: Tolerance

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.unit is None) == (not self.distance):
            raise ValueError("give either `distance` (and `waiting`) or `unit`")
        if self.unit is not None and (self.waiting or self.night or self.empty_return):
            raise ValueError("`unit` does not combine with `waiting`, `night` or `empty_return`")
        if list(self.distance) != sorted(self.distance, key=lambda step: step.beyond):
            raise ValueError("`distance`: steps must come in the order of `beyond`")
        if self.distance and self.distance[0].beyond != self.flagfall.includes:
            raise ValueError("`distance`: the first step must begin where the flagfall ends")
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"`zone`: {self.zone!r} is no IANA time zone") from error
        return self

    def in_force(self, moment: int) -> bool:
        """Whether the tariff holds at a time (ns)."""
        day = local(moment, self.zone).date()
        return self.valid_from <= day and (self.valid_until is None or day <= self.valid_until)


class Trip(NamedTuple):
    """What the fare depends on; intervals of what the instrument may have measured inside.

    ``distance`` km and ``waiting`` s as (lowest, highest); ``one_way`` None where not known.
    """

    distance: tuple[Decimal, Decimal]
    waiting: tuple[Decimal, Decimal]
    started_at: int
    ended_at: int
    one_way: bool | None = None


class Fare(NamedTuple):
    """The lowest and the highest fare that the tariff allows for a trip."""

    low: Decimal
    high: Decimal


_Span = tuple[datetime, datetime]


def local(moment: int, zone: str) -> datetime:
    """Local time of a time in ns, to the microsecond."""
    utc = _EPOCH + timedelta(microseconds=moment // 1000)
    return utc.astimezone(ZoneInfo(zone))


def unrounded(tariff: Tariff, trip: Trip) -> Fare:
    """The fare before surcharges and rounding."""
    if tariff.unit is not None:
        return _in_units(tariff.flagfall, tariff.unit, trip)
    start = local(trip.started_at, tariff.zone)
    span = start, max(start, local(trip.ended_at, tariff.zone))
    factors = [_ONE]
    if tariff.night is not None:
        share = _share(tariff.night, span)
        factors = [
            f for f, at_night in ((_ONE, False), (tariff.night.factor, True)) if at_night in share
        ]
    kilometres = _waiting_kilometres(tariff.waiting, span)
    low, high = min(factors), max(factors)
    return Fare(
        _apart(tariff, trip, 0, low, kilometres[0], one_way=trip.one_way is True),
        _apart(tariff, trip, 1, high, kilometres[1], one_way=trip.one_way is not False),
    )


def fare(tariff: Tariff, trip: Trip) -> Fare:
    """The fare as shown, before surcharges."""
    low, high = unrounded(tariff, trip)
    return Fare(_rounded(low, tariff.rounding), _rounded(high, tariff.rounding))


def read_tariffs(files: Iterable[Path]) -> dict[str, Tariff]:
    """Tariffs by name from YAML files.

    Raises:
        ProfileError: every fault of every file; a tariff must have its file's name.
    """
    tariffs: dict[str, Tariff] = {}
    faults = []
    for file in sorted(files):
        try:
            tariff = Tariff.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            faults.append(f"{file}: {error}")
        except ValidationError as error:
            for fault in error.errors(include_url=False):
                where = ".".join(map(str, fault["loc"])) or "tariff"
                faults.append(f"{file}: {where}: {fault['msg']}, got {fault['input']!r:.80}")
        else:
            if tariff.tariff != file.stem:
                faults.append(f"{file}: tariff: {tariff.tariff!r} must be the file's name")
            tariffs[tariff.tariff] = tariff
    if faults:
        raise ProfileError("\n".join(faults))
    return tariffs


def _in_units(flagfall: Flagfall, unit: Unit, trip: Trip) -> Fare:
    longest = unit.speed * trip.waiting[1] / 3600
    fast = max(_ZERO, trip.distance[0] - longest)
    fewest = fast / unit.distance + trip.waiting[0] / unit.every
    most = trip.distance[1] / unit.distance + trip.waiting[1] / unit.every
    return Fare(flagfall.price + unit.price * int(fewest), flagfall.price + unit.price * int(most))


def _apart(
    tariff: Tariff, trip: Trip, side: int, factor: Decimal, kilometres: Decimal, *, one_way: bool
) -> Decimal:
    driven = trip.distance[side]
    total = tariff.flagfall.price
    steps = tariff.distance
    ends = [*(step.beyond for step in steps[1:]), None]
    for step, end in zip(steps, ends, strict=True):
        until = driven if end is None else min(driven, end)
        total += max(_ZERO, until - step.beyond) * step.price * factor
        back = tariff.empty_return
        if back is not None and one_way:
            beyond = max(step.beyond, back.beyond)
            total += max(_ZERO, until - beyond) * step.price * factor * back.share
    if tariff.waiting is not None:
        periods = int(trip.waiting[side] / tariff.waiting.every)
        total += periods * kilometres * steps[0].price * (factor if side else _ONE)
    return total


def _waiting_kilometres(waiting: Waiting | None, span: _Span) -> tuple[Decimal, Decimal]:
    if waiting is None:
        return _ZERO, _ZERO
    prices = set()
    always = False
    for peak in waiting.peaks:
        share = _share(peak, span)
        always = always or False not in share
        if True in share:
            prices.add(peak.kilometres)
    if not always:
        prices.add(waiting.kilometres)
    return min(prices), max(prices)


def _share(hours: Hours, span: _Span) -> set[bool]:
    """Which of inside and outside the window some part of the span was."""
    start, end = span
    if end - start >= _DAY:
        return {True, False}
    found = {hours.contains(start), hours.contains(end)}
    for day in {start.date(), end.date()}:
        for edge in (hours.start, hours.end):
            moment = datetime.combine(day, edge, tzinfo=start.tzinfo)
            if start < moment < end:
                found |= {hours.contains(moment), hours.contains(moment - _INSTANT)}
    return found


def _rounded(amount: Decimal, rounding: Rounding) -> Decimal:
    steps = (amount / rounding.step).to_integral_value(_MODES[rounding.mode])
    return steps * rounding.step
