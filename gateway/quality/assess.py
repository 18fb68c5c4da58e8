"""Data quality day by day, by device, model, firmware, vendor or region; and what is behind it.

All functions give records and print nothing: the command line, the API and the console show them.
"""
# ruff: noqa: S608 - what is put into statements is our own names; users' values are parameters

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec

from gateway.flags import tables
from gateway.quality.counts import REACH, Day, DeviceDay, Terms, latest_receipt
from gateway.quality.dimensions import OF_CODE, Counts, Scores, scores
from gateway.quality.firmware import registered_firmware, told_firmware
from gateway.quantities import KINDS
from gateway.registry.tables import any_device
from gateway.store.schema import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.casebook import Casebook
    from gateway.devices import Registry
    from gateway.records import Device
    from gateway.store.reading import StoreReader

By = Literal["device", "model", "firmware", "vendor", "region"]
BY: Final[tuple[By, ...]] = get_args(By)
UNKNOWN_DEVICE: Final = ""
"""The group of messages in quarantine of which the device is not known."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Assessment(msgspec.Struct, frozen=True):
    """The quality of one group on one day, or over all days that were asked for.

    ``date`` is the day in the zone asked for, None of a total.  ``group`` is a device, model,
    firmware, vendor or region; None where none is known, ``UNKNOWN_DEVICE`` where it is not known
    whose the messages were.  ``kind`` is given by device, ``model`` by firmware: two models may
    call their programs alike.
    """

    group: str | None
    date: dt.date | None
    kind: str | None
    counts: Counts
    scores: Scores
    model: str | None = None


class CountedFlag(msgspec.Struct, frozen=True):
    """A flag that counts, with the readings within its span on the days asked for."""

    id: str
    code: str
    dimension: str
    since: int
    until: int
    readings: int


class Detail(msgspec.Struct, frozen=True):
    """What is behind the quality of one device."""

    device_id: str
    total: Assessment
    days: list[Assessment]
    flags: list[CountedFlag]
    quarantine: dict[str, int]


class Instruments:
    """Vendor, model and firmware of devices: as registered, else as their profile or they say.

    Args:
        devices: the registry.
        of_profile: vendor and model by the name of the profile.
    """

    def __init__(
        self,
        devices: Registry,
        of_profile: Mapping[str, tuple[str | None, str | None]] | None = None,
    ) -> None:
        self._devices = devices
        self._of_profile = of_profile or {}

    def group(
        self,
        by: By,
        device_id: str,
        profile: str | None,
        at: int,
        told_firmware: Mapping[str, str] | None = None,
    ) -> str | None:
        """The group that a device belongs to at a time.

        Args:
            by: what makes a group.
            device_id: the device.
            profile: of its last message.
            at: the time, ns.
            told_firmware: what devices told of their programs by then.
        """
        if by == "device":
            return device_id
        device = self._registered(device_id, at)
        if by == "firmware":
            known = None if device is None else registered_firmware(device)
            return known or (told_firmware or {}).get(device_id)
        if device is not None and (told := getattr(device, by)) is not None:
            return str(told)
        if by == "region" or profile is None:
            return None
        vendor, model = self._of_profile.get(profile.partition("@")[0], (None, None))
        return vendor if by == "vendor" else model

    def _registered(self, device_id: str, at: int) -> Device | None:
        if device_id not in self._devices:
            return None
        return self._devices.at(device_id, at) or self._devices.versions(device_id)[0]


def days(first: dt.date, last: dt.date, zone: dt.tzinfo) -> Iterator[tuple[dt.date, int, int]]:
    """Each day from ``first`` to ``last`` with its beginning and end in ns UTC.

    A day is what a calendar in this zone says, so it may have 23 or 25 hours.
    """
    day = first
    while day <= last:
        following = day + dt.timedelta(days=1)
        yield day, _midnight(day, zone), _midnight(following, zone)
        day = following


def _midnight(day: dt.date, zone: dt.tzinfo) -> int:
    at = dt.datetime.combine(day, dt.time(), tzinfo=zone).astimezone(dt.UTC)
    return ((at - _EPOCH) // dt.timedelta(microseconds=1)) * 1_000


def terms_of(
    casebook: Casebook | None, *, on_time: int | None = None, device_id: str | None = None
) -> Terms:
    """What is counted over, with the flags that people have dismissed.

    Args:
        casebook: where they have; None where there is none.
        on_time: ns after which a reading is late; None for the default.
        device_id: only this device.
    """
    dismissed: frozenset[str] = frozenset()
    registry_known = False
    if casebook is not None:
        with casebook.transaction(reading=True) as connection:
            dismissed = frozenset(tables.read_dismissed(connection))
            registry_known = any_device(connection)
    terms = Terms(dismissed=dismissed, device_id=device_id, registry_known=registry_known)
    return terms if on_time is None else msgspec.structs.replace(terms, on_time=on_time)


def assess(
    store: StoreReader,
    devices: Registry,
    first: dt.date,
    last: dt.date,
    *,
    zone: dt.tzinfo,
    by: By = "device",
    terms: Terms | None = None,
    instruments: Instruments | None = None,
    total: bool = False,
) -> list[Assessment]:
    """The quality of every group that has, or should have, data; by day and group.

    Args:
        store: the embedded store.
        devices: the registry.
        first: the first day.
        last: the last day, included.
        zone: in which days begin.
        by: what makes a group.
        terms: what is counted over.
        instruments: vendor and model of devices.
        total: one assessment of a group over all days, instead of one a day.
    """
    chosen = terms or Terms()
    named = instruments or Instruments(devices)
    clock = latest_receipt(store) or 0
    made: list[Assessment] = []
    sums = Sums(named, by)
    for date, begin, end in days(first, last, zone):
        if not total:
            sums = Sums(named, by)
        told = told_firmware(store, begin, end) if by == "firmware" else {}
        day = Day(store, begin, end, clock=clock, devices=devices, terms=chosen)
        for (device_id, kind), row in day.counted().items():
            sums.add(device_id, kind, row, end - 1, told)
        if not total:
            made += sums.assessed(date)
    if total:
        made = sums.assessed(None)
    return made


class Sums:
    """Counts gathered by group.

    Args:
        named: vendor, model and firmware of devices.
        by: what makes a group.
    """

    def __init__(self, named: Instruments, by: By) -> None:
        self._named, self._by = named, by
        self._sums: dict[tuple[str | None, str | None, str | None], tuple[Counts, set[str]]] = {}

    def add(
        self,
        device_id: str | None,
        kind: str | None,
        row: DeviceDay,
        at: int,
        told_firmware: Mapping[str, str],
    ) -> None:
        """Adds the day of a device, None where it is not known, to its group at a time (ns)."""
        by, model = self._by, None
        group: str | None = UNKNOWN_DEVICE
        if device_id is not None:
            group = self._named.group(by, device_id, row.profile, at, told_firmware)
            if by == "firmware":
                model = self._named.group("model", device_id, row.profile, at)
        key = (group, kind if by == "device" else None, model)
        counts, devices = self._sums.setdefault(key, (Counts(), set()))
        counts.add(row.counts)
        if device_id is not None:
            devices.add(device_id)

    def assessed(self, date: dt.date | None) -> list[Assessment]:
        """What was gathered, in the order of `order`; of a day, or None of all."""
        made = []
        for (group, kind, model), (counts, devices) in self._sums.items():
            counts.devices = len(devices)
            made.append(Assessment(group, date, kind, counts, scores(counts), model))
        return sorted(made, key=order)


def order(each: Assessment) -> tuple[str, str, str]:
    """By day, then by group with those without a name first; no two of a list are alike."""
    date = "" if each.date is None else each.date.isoformat()
    group = "" if each.group is None else f"+{each.group}"
    within = each.kind if each.model is None else f"+{each.model}"
    return date, group, within or ""


def detail(
    store: StoreReader,
    devices: Registry,
    first: dt.date,
    last: dt.date,
    *,
    zone: dt.tzinfo,
    terms: Terms,
) -> Detail:
    """What is behind the quality of the device that ``terms`` name: days, flags, quarantine.

    Args:
        store: the embedded store.
        devices: the registry.
        first: the first day.
        last: the last day, included.
        zone: in which days begin.
        terms: with the device.
    """
    if terms.device_id is None:
        raise ValueError("detail is of one device: terms.device_id")
    daily = assess(store, devices, first, last, zone=zone, terms=terms)
    whole = Counts()
    for each in daily:
        whole.add(each.counts)
    whole.devices = min(1, whole.devices)
    kinds = {each.kind for each in daily}
    begin, end = _midnight(first, zone), _midnight(last + dt.timedelta(days=1), zone)
    return Detail(
        device_id=terms.device_id,
        total=Assessment(
            terms.device_id, None, kinds.pop() if len(kinds) == 1 else None, whole, scores(whole)
        ),
        days=daily,
        flags=_flags(store, begin, end, terms),
        quarantine=_quarantine(store, begin, end, terms),
    )


def _flags(store: StoreReader, begin: int, end: int, terms: Terms) -> list[CountedFlag]:
    every = " UNION ALL ".join(
        f"SELECT '{kind}' AS kind, channel, epoch_ns(measured_at) AS measured FROM {table(kind)} "
        "WHERE device_id = ? AND measured_at >= make_timestamp_ns(?) "
        "AND measured_at < make_timestamp_ns(?)"
        for kind in KINDS
    )
    rows = store.ask(
        f"WITH r AS ({every}) SELECT f.id, any_value(f.code), any_value(epoch_ns(f.since)), "
        "any_value(epoch_ns(f.until)), count(r.measured) FROM "
        f"(SELECT *, {REACH} AS reach FROM flags) f "
        "LEFT JOIN r ON r.kind = f.kind AND (f.channel IS NULL OR f.channel = r.channel) "
        "AND r.measured >= epoch_ns(f.since) AND r.measured <= f.reach "
        "WHERE f.device_id = ? AND f.status <> 'withdrawn' "
        "AND f.code IN (SELECT unnest(?::VARCHAR[])) AND f.id NOT IN (SELECT unnest(?::VARCHAR[])) "
        "AND f.since < make_timestamp_ns(?) AND f.reach >= ? "
        "GROUP BY f.id ORDER BY 3, 1",
        [
            *[terms.device_id, begin, end] * len(KINDS),
            terms.device_id, sorted(OF_CODE), sorted(terms.dismissed), end, begin,
        ],
    )  # fmt: skip
    return [
        CountedFlag(flag_id, code, OF_CODE[code], since, until, readings)
        for flag_id, code, since, until, readings in rows
    ]


def _quarantine(store: StoreReader, begin: int, end: int, terms: Terms) -> dict[str, int]:
    rows = store.ask(
        "SELECT reason, count(*) FROM quarantine WHERE device_id = ? AND stage NOT LIKE 'sink:%' "
        "AND received_at >= make_timestamp_ns(?) AND received_at < make_timestamp_ns(?) "
        "GROUP BY reason ORDER BY 2 DESC, 1",
        [terms.device_id, begin, end],
    )
    return dict(rows)


def assessment_line(each: Assessment, by: By = "device") -> dict[str, Any]:
    """An assessment as JSON: group, day, scores (shares to six digits), then the counts."""
    line: dict[str, Any] = {by: each.group}
    if each.date is not None:
        line["date"] = each.date.isoformat()
    if each.kind is not None:
        line["kind"] = each.kind
    if each.model is not None:
        line["model"] = each.model
    for name in Scores.__struct_fields__:
        value = getattr(each.scores, name)
        if value is not None:
            line[name] = round(value, 2 if name == "overall" else 6)
    return line | {"expected": each.counts.expected} | msgspec.structs.asdict(each.counts)
