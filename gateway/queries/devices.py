"""Devices: lists with filters and search, one device with its history."""

from __future__ import annotations

from bisect import bisect_right
from statistics import median_low
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from gateway.devices import named_devices, shown_parameters
from gateway.queries import paging
from gateway.queries.paging import Page
from gateway.store import DeviceSummary
from gateway.store.export import device_record, rfc3339
from gateway.times import DAY

if TYPE_CHECKING:
    from gateway.access.roles import Scope
    from gateway.queries.seen import Seen
    from gateway.records import Device

MOST_MODELS: Final = 100
KEPT_S: Final = 10.0
"""For how long counts of all devices stand."""
State = Literal["reporting", "silent", "never"]
SILENT_AFTER: Final = DAY
"""A device of which nothing was received for this long, before the latest receipt of all, is
silent in lists; the flag `silent_device` goes by the rhythm of each."""


class DeviceChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which devices are asked for; what is None does not narrow.

    ``text`` is looked for in id, vendor, model, site, and, of who may see them, serial numbers.
    """

    kind: str | None = None
    vendor: str | None = None
    model: str | None = None
    region: str | None = None
    site: str | None = None
    state: State | None = None
    text: str | None = None


def page(seen: Seen, choice: DeviceChoice, *, cursor: str | None, limit: int) -> Page:
    """Devices by id.

    Raises:
        ConfigError: the cursor is none.
        AccessDenied: the region lies outside of the scope.
    """
    limit = paging.checked_limit(limit)
    after = paging.read(cursor, tuple[str])
    directory, scope = seen.world.directory, seen.narrowed(choice.region, choice.site)
    ids = directory.ids(scope) if choice.site is None else directory.at_site(scope, choice.site)
    begin = 0 if after is None else bisect_right(ids, after[0])
    found: list[str] = []
    for place in range(begin, len(ids)):
        if _takes(seen, choice, ids[place]):
            found.append(ids[place])
            if len(found) > limit:
                break
    more = len(found) > limit
    found = found[:limit]
    flags = flag_counts(seen, found)
    items = [summary_record(seen, name, flags.get(name, 0)) for name in found]
    return Page(items, paging.written(found[-1]) if more else None)


def one(seen: Seen, device_id: str) -> dict[str, Any]:
    """A device with its versions and certificates.

    Raises:
        NotFound: there is none in the scope.
    """
    seen.need(device_id)
    world = seen.world
    record = summary_record(seen, device_id, flag_counts(seen, [device_id]).get(device_id, 0))
    record["kinds"] = [
        {
            "kind": each.kind,
            "profile": each.profile,
            "first_measured_at": rfc3339(each.first_measured_at),
            "last_measured_at": rfc3339(each.last_measured_at),
            "readings": each.readings,
        }
        for each in world.directory.summaries.get(device_id, ())
    ]
    if seen.privacy.places:
        record |= _related(seen, device_id)
    versions = world.directory.registry.versions(device_id)
    record["versions"] = [
        seen.named(seen.privacy.device(registered_record(each))) for each in versions
    ]
    if seen.privacy.exact:
        record["certificates"] = [
            _certificate(each)
            for each in world.casebook.records("certificate", device_id=device_id)
        ]
    return record


def _related(seen: Seen, device_id: str) -> dict[str, Any]:
    """What hangs together with a device: ``members`` and ``tanks`` it heads, its ``parent``."""
    relations, device = seen.world.directory.relations, seen.device(device_id)
    parent = next(iter(named_devices(device, "parent")), None) if device is not None else None
    return {
        "members": len(relations.members.get(device_id, ())),
        "tanks": len(relations.tanks.get(device_id, ())),
        **({} if parent is None or not seen.sees(parent) else {"parent": parent}),
    }


def summary_record(seen: Seen, device_id: str, flags: int) -> dict[str, Any]:
    """A device's record with the keys of the devices export, and its state."""
    directory = seen.world.directory
    device, summary = directory.registry.get(device_id), directory.summary(device_id)
    told = DeviceSummary(
        device_id=device_id,
        kind=summary.kind if summary else (device and device.kind) or "unknown",
        profile=summary.profile if summary else (device and device.profile) or "",
        first_measured_at=summary.first_measured_at if summary else None,
        last_measured_at=summary.last_measured_at if summary else None,
        readings=sum(each.readings for each in directory.summaries.get(device_id, ())),
        flags=flags,
    )
    record = device_record(told, device)
    record["registered"] = device is not None
    record["state"] = state_of(seen, device_id)
    if summary is not None:
        record["last_received_at"] = rfc3339(summary.last_received_at)
    shown = seen.privacy.device({key: value for key, value in record.items() if value != ""})
    if "parameters" in shown:
        shown["parameters"] = seen.named(shown["parameters"])
    return shown


def state_of(seen: Seen, device_id: str) -> State:
    """Whether anything comes of a device."""
    directory = seen.world.directory
    summary = directory.summary(device_id)
    if summary is None:
        return "never"
    late = directory.latest_receipt - summary.last_received_at
    return "silent" if late > SILENT_AFTER else "reporting"


def flag_counts(seen: Seen, ids: list[str]) -> dict[str, int]:
    """How many flags that are not withdrawn each of these devices has."""
    rows = seen.world.store.ask(
        "SELECT device_id, count(*) FROM flags WHERE status <> 'withdrawn' "
        "AND device_id IN (SELECT value FROM chosen) GROUP BY device_id",
        chosen=ids,
    )
    return dict(rows)


def overview(seen: Seen, region: str | None = None) -> dict[str, Any]:
    """Devices by kind and state, by model, and by region, two digits beyond the district asked for.

    ``models`` are those registered, the most frequent first, at most `MOST_MODELS`.
    ``measured_until`` is where the middle one of all is, so that no clock that is ahead says what
    day it is.
    """
    scope = seen.narrowed(region)
    return seen.world.recent.get(
        ("overview", scope, seen.privacy, region), KEPT_S, lambda: _overview(seen, scope)
    )


def _overview(seen: Seen, scope: Scope) -> dict[str, Any]:
    directory = seen.world.directory
    kinds: dict[str, dict[str, int]] = {}
    models: dict[tuple[str, str | None, str | None], dict[str, int]] = {}
    regions: dict[str, int] = {}
    deeper = len(scope.region) + 2
    measured: list[int] = []
    for name in directory.ids(scope):
        device, summary = directory.registry.get(name), directory.summary(name)
        kind = summary.kind if summary else (device and device.kind) or "unknown"
        state = state_of(seen, name)
        states = kinds.setdefault(kind, {"reporting": 0, "silent": 0, "never": 0})
        states[state] += 1
        if device is not None:
            of_model = models.setdefault((kind, device.vendor, device.model), {})
            of_model[state] = of_model.get(state, 0) + 1
        if summary is not None:
            measured.append(summary.last_measured_at)
        if device is not None and device.region and seen.privacy.places:
            place = device.region[:deeper]
            regions[place] = regions.get(place, 0) + 1
    told: dict[str, Any] = {
        "kinds": dict(sorted(kinds.items())),
        "models": _models(models),
        "regions": dict(sorted(regions.items())),
    }
    if measured:
        told["measured_until"] = rfc3339(median_low(measured))
    return told


def _models(
    counted: dict[tuple[str, str | None, str | None], dict[str, int]],
) -> list[dict[str, Any]]:
    """Models with their devices by state."""
    most = sorted(
        counted.items(),
        key=lambda item: (-sum(item[1].values()), [each or "" for each in item[0]]),
    )
    found = []
    for (kind, vendor, model), states in most[:MOST_MODELS]:
        told: dict[str, Any] = {"kind": kind, "vendor": vendor, "model": model}
        told |= {"reporting": 0, "silent": 0, "never": 0} | states
        found.append({name: value for name, value in told.items() if value is not None})
    return found


def registered_record(device: Device) -> dict[str, Any]:
    """One version of what is registered, times as RFC 3339, secrets only said to be."""
    record: dict[str, Any] = {}
    for name, value in msgspec.structs.asdict(device).items():
        if value is None or value == {}:
            continue
        if name == "parameters":
            record[name] = shown_parameters(value)
        elif name.endswith(("_at", "_until", "_from")):
            record[name] = rfc3339(value)
        else:
            record[name] = value
    return record


def _certificate(record: Any) -> dict[str, Any]:  # noqa: ANN401 - any record of the registry
    told = {k: v for k, v in msgspec.structs.asdict(record).items() if v not in (None, [], {})}
    return {
        name: rfc3339(value) if name.endswith(("_at", "_until")) else value
        for name, value in told.items()
    }


def _takes(seen: Seen, choice: DeviceChoice, device_id: str) -> bool:
    directory = seen.world.directory
    device = directory.registry.get(device_id)
    if choice.kind is not None:
        summary = directory.summary(device_id)
        kind = summary.kind if summary else device and device.kind
        if kind != choice.kind:
            return False
    for name in ("vendor", "model", "site"):
        wanted = getattr(choice, name)
        if wanted is not None and (device is None or getattr(device, name) != wanted):
            return False
    if choice.state is not None and state_of(seen, device_id) != choice.state:
        return False
    return choice.text is None or _holds(seen, device_id, device, choice.text.casefold())


def _holds(seen: Seen, device_id: str, device: Device | None, text: str) -> bool:
    if text in device_id.casefold():
        return True
    if device is None:
        return False
    places = (device.site,) if seen.privacy.places else ()
    names = (device.serial_number,) if seen.privacy.exact else ()
    told = (device.vendor, device.model, *places, *names)
    return any(text in value.casefold() for value in told if value is not None)
