"""Readings of a device: as they are, and as minima, maxima and means for a plot."""
# ruff: noqa: S608 - what is put into statements is our own names; users' values are parameters

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from gateway.errors import ConfigError
from gateway.quantities import BY_NAME, EVENTS, KINDS, export_key
from gateway.queries import paging
from gateway.queries.paging import Page
from gateway.queries.privacy import PERSONAL
from gateway.store import rows, schema
from gateway.store.export import DEFAULT_CURRENCY, reading_record, rfc3339
from gateway.times import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.queries.seen import Seen

Order = Literal["newest", "oldest"]

MOST_POINTS: Final = 4_000
_LEVEL_POINTS: Final = 200
_STEPS_S: Final = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200,
    86_400, 172_800, 604_800, 1_209_600, 2_592_000,
)  # fmt: skip
_PLACES: Final = frozenset(("longitude", "latitude"))


class ReadingChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which readings of a device; bounds in ns on the time of measurement.

    ``kind`` None is the one that came last, of a device that has several.
    """

    kind: str | None = None
    event: str | None = None
    channel: str | None = None
    since: int | None = None
    until: int | None = None


def page(
    seen: Seen,
    device_id: str,
    choice: ReadingChoice,
    *,
    order: Order = "newest",
    cursor: str | None,
    limit: int,
) -> Page:
    """Readings with the keys of the readings export, by time of measurement.

    Raises:
        NotFound: no such device in the scope.
        ConfigError: the cursor is none, or there is no such kind or event.
    """
    limit = paging.checked_limit(limit)
    kind = kind_of(seen, device_id, choice)
    if kind is None:
        return Page([])
    clause, parameters = _where(device_id, choice)
    key = paging.read(cursor, tuple[int, int])
    compared, sorting = ("<", "DESC") if order == "newest" else (">", "ASC")
    if key is not None:
        clause += (
            f" AND (measured_at {compared} make_timestamp_ns(?) OR "
            f"(measured_at = make_timestamp_ns(?) AND position {compared} ?))"
        )
        parameters += [key[0], key[0], key[1]]
    found = seen.world.store.ask(
        f"SELECT {schema.selected(kind)} FROM {schema.table(kind)}{clause} "
        f"ORDER BY measured_at {sorting}, position {sorting} LIMIT {limit + 1}",
        parameters,
    )
    pairs = list(rows.readings(kind, found[:limit]))
    items = [reading_record(seen.privacy.reading(reading)) for _, reading in pairs]
    if len(found) <= limit:
        return Page(items)
    position, last = pairs[-1]
    return Page(items, paging.written(last.measured_at, position))


class Series(msgspec.Struct, frozen=True):
    """Readings gathered in buckets of ``bucket_s`` seconds, each beginning at ``at`` (RFC 3339).

    ``series`` has for each channel and quantity the columns ``at``, ``count``, ``min``, ``max``,
    ``mean`` and ``last``.
    """

    device_id: str
    kind: str | None
    since: str | None
    until: str | None
    bucket_s: int
    series: list[dict[str, Any]]


def series(
    seen: Seen,
    device_id: str,
    choice: ReadingChoice,
    *,
    quantities: tuple[str, ...] = (),
    points: int = 1_000,
) -> Series:
    """Readings for a plot of at most so many points a line.

    Raises:
        NotFound: no such device in the scope.
        ConfigError: no such quantity or kind, or too many points.
    """
    if not 1 <= points <= MOST_POINTS:
        raise ConfigError(f"points: from 1 to {MOST_POINTS:,}, got {points}")
    kind = kind_of(seen, device_id, choice)
    since, until = _span(seen, device_id, kind, choice)
    if kind is None or since is None or until is None or until <= since:
        return Series(device_id, kind, None, None, 0, [])
    wanted = _wanted(seen, kind, quantities)
    width = bucket(since, until, points)
    clause, parameters = _where(
        device_id, msgspec.structs.replace(choice, since=since, until=until)
    )
    columns = ", ".join(
        f"count({name}), min({name})::DOUBLE, max({name})::DOUBLE, avg({name})::DOUBLE, "
        f"arg_max({name}, measured_at)::DOUBLE"
        for name in wanted
    )
    found = seen.world.store.ask(
        f"SELECT channel, any_value(currency), epoch_ns(measured_at) // {width} AS bucket, "
        f"{columns} FROM {schema.table(kind)}{clause} "
        "GROUP BY channel, bucket ORDER BY channel, bucket",
        parameters,
    )
    return Series(
        device_id, kind, rfc3339(since), rfc3339(until), width // SECOND,
        _columns(kind, wanted, found, width),
    )  # fmt: skip


def levels(
    seen: Seen, ids: Sequence[str], kind: str, quantity: str, *, span: tuple[int, int]
) -> list[dict[str, Any]]:
    """One quantity of several devices for one plot, a line a device, in one question.

    Of meters the tariffs are left out; of tanks each is a line.  That the devices may be seen is
    for the caller to know.
    """
    whole = "" if quantity == "tank_volume" else "(channel IS NULL OR channel = 'total') AND "
    width = bucket(*span, _LEVEL_POINTS)
    found = seen.world.store.ask(
        f"SELECT device_id, channel, epoch_ns(measured_at) // {width} AS bucket, "
        f"min({quantity})::DOUBLE, "
        f"max({quantity})::DOUBLE, avg({quantity})::DOUBLE FROM {schema.table(kind)} "
        "WHERE device_id IN (SELECT value FROM chosen) AND device_id BETWEEN ? AND ? "
        f"AND {whole}{quantity} IS NOT NULL AND measured_at >= make_timestamp_ns(?) "
        "AND measured_at < make_timestamp_ns(?) GROUP BY device_id, channel, bucket "
        "ORDER BY 1, 2, 3",
        [min(ids), max(ids), *span],
        chosen=list(ids),
    )
    unit = BY_NAME[kind][quantity].unit
    lines: dict[tuple[str, str | None], dict[str, Any]] = {}
    for name, channel, number, *values in found:
        line = lines.setdefault(
            (name, channel),
            {"device_id": name, "channel": channel, "quantity": quantity, "unit": unit}
            | {column: [] for column in ("at", "min", "max", "mean")},
        )
        line["at"].append(rfc3339(number * width))
        for column, value in zip(("min", "max", "mean"), values, strict=True):
            line[column].append(value)
    return list(lines.values())


def bucket(since: int, until: int, points: int) -> int:
    """The width of a bucket in ns: the first of the usual steps that gives few enough."""
    least = -(-(until - since) // points)
    return next(
        (step * SECOND for step in _STEPS_S if step * SECOND >= least), -(-least // SECOND) * SECOND
    )


def is_personal(seen: Seen, device_id: str) -> bool:
    """Whether what a device sends tells of people, so that a look at it is audited.

    Of a device of which nothing is known it may: one row of audit too many hurts nobody.
    """
    device = seen.device(device_id)
    kinds = {each.kind for each in seen.world.directory.summaries.get(device_id, ())}
    if device is not None and device.kind is not None:
        kinds.add(device.kind)
    return not kinds or bool(kinds & PERSONAL)


def kind_of(seen: Seen, device_id: str, choice: ReadingChoice) -> str | None:
    """The kind that is asked about; None of a device without readings."""
    seen.need(device_id)
    if choice.event is not None and choice.event not in EVENTS:
        raise ConfigError(f"event {choice.event!r:.40}: known are {', '.join(EVENTS)}")
    if choice.kind is not None:
        if choice.kind not in KINDS:
            raise ConfigError(f"kind {choice.kind!r:.40}: known are {', '.join(KINDS)}")
        return choice.kind
    summary = seen.world.directory.summary(device_id)
    return None if summary is None else summary.kind


def _where(device_id: str, choice: ReadingChoice) -> tuple[str, list[Any]]:
    return rows.where(
        {
            "device_id = ?": device_id,
            "event = ?": choice.event,
            "channel = ?": choice.channel,
            rows.time_bound("measured_at", ">="): choice.since,
            rows.time_bound("measured_at", "<"): choice.until,
        }
    )


def _span(
    seen: Seen, device_id: str, kind: str | None, choice: ReadingChoice
) -> tuple[int | None, int | None]:
    """From when to when; without bounds, over all readings there are."""
    held = seen.world.directory.summaries.get(device_id, ())
    known = next((each for each in held if each.kind == kind), None)
    if known is None:
        return choice.since, choice.until
    since = known.first_measured_at if choice.since is None else choice.since
    until = known.last_measured_at + SECOND if choice.until is None else choice.until
    return since, until


def _wanted(seen: Seen, kind: str, quantities: tuple[str, ...]) -> list[str]:
    plotted = [
        quantity.name
        for quantity in KINDS[kind]
        if quantity.type in {"number", "money"}
        and (seen.privacy.exact or quantity.name not in _PLACES)
    ]
    unknown = [name for name in quantities if name not in plotted]
    if unknown:
        raise ConfigError(f"quantity {unknown[0]!r:.40} of {kind}: known are {', '.join(plotted)}")
    return list(dict.fromkeys(quantities)) or plotted


def _columns(
    kind: str, wanted: list[str], found: list[tuple[Any, ...]], width: int
) -> list[dict[str, Any]]:
    made: dict[tuple[str | None, str], dict[str, Any]] = {}
    for channel, currency, number, *values in found:
        at = rfc3339(number * width)
        for place, name in enumerate(wanted):
            count, least, most, mean, last = values[5 * place : 5 * place + 5]
            if not count:
                continue
            line = made.get((channel, name))
            if line is None:
                quantity = BY_NAME[kind][name]
                key = export_key(quantity, currency or DEFAULT_CURRENCY)
                line = {"channel": channel, "quantity": name, "key": key, "unit": quantity.unit}
                line |= {column: [] for column in ("at", "count", "min", "max", "mean", "last")}
                made[channel, name] = line
            for column, value in zip(
                ("at", "count", "min", "max", "mean", "last"),
                (at, count, least, most, mean, last),
                strict=True,
            ):
                line[column].append(value)
    return list(made.values())
