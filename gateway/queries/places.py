"""Where devices are: clusters for a map, and sites."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.queries.devices import KEPT_S, SILENT_AFTER

if TYPE_CHECKING:
    from gateway.access.roles import Scope
    from gateway.queries.relations import Relations
    from gateway.queries.seen import Seen

MOST_CELLS: Final = 128
_FINEST: Final = 0.01
"""Degrees: positions are no finer to who sees them coarsely, and a cell must not tell more."""
_OPEN: Final = "SELECT device_id, count(*) FROM flags WHERE status = 'open' GROUP BY device_id"
_OPEN_OF: Final = (
    "SELECT device_id, count(*) FROM flags WHERE status = 'open' "
    "AND device_id IN (SELECT value FROM chosen) GROUP BY device_id"
)
_UNBALANCED: Final = (
    "SELECT DISTINCT device_id FROM flags WHERE status = 'open' AND code IN "
    "('wet_stock_surplus', 'wet_stock_loss', 'energy_balance_mismatch')"
)
_MOST_SITES: Final = 2_000


class Bounds(msgspec.Struct, frozen=True):
    """A part of the earth, degrees of WGS 84 (or GCJ-02, as registered)."""

    west: float
    south: float
    east: float
    north: float


class _Cell(msgspec.Struct):
    """What lies in one cell; the position is the mean of its devices."""

    longitude: float = 0.0
    latitude: float = 0.0
    devices: int = 0
    silent: int = 0
    flagged: int = 0
    flags: int = 0
    only: str = ""


def clusters(
    seen: Seen,
    *,
    region: str | None = None,
    kind: str | None = None,
    bounds: Bounds | None = None,
    cells: int = 40,
) -> dict[str, Any]:
    """Devices with a position, gathered on a grid of so many cells along the longer side.

    A cluster has the mean position of its ``devices``, how many are ``silent``, how many have a
    flag that stands (``flagged``), and ``device_id`` where it is a single one.

    Raises:
        AccessDenied: places are not for these eyes.
    """
    scope = seen.narrowed("" if region is None else region)
    key = ("clusters", scope, seen.privacy, kind, bounds, cells)
    return seen.world.recent.get(
        key, KEPT_S, lambda: _clusters(seen, scope, kind=kind, bounds=bounds, cells=cells)
    )


def _standing(seen: Seen, scope: Scope) -> dict[str, int]:
    """How many flags that stand each device of a scope has; none where there is none."""
    chosen = seen.chosen(region=scope.region)
    if chosen is None:
        return dict(seen.world.store.ask(_OPEN))
    return dict(seen.world.store.ask(_OPEN_OF, chosen=chosen))


def _clusters(
    seen: Seen, scope: Scope, *, kind: str | None, bounds: Bounds | None, cells: int
) -> dict[str, Any]:
    directory = seen.world.directory
    open_flags = _standing(seen, scope)
    silent_before = directory.latest_receipt - SILENT_AFTER
    placed = []
    unplaced = 0
    for name in directory.ids(scope):
        device = directory.registry.get(name)
        if kind is not None and (device is None or device.kind != kind):
            continue
        if device is None or device.longitude is None or device.latitude is None:
            unplaced += 1
            continue
        spot = (device.longitude, device.latitude)
        if bounds is None or (
            bounds.west <= spot[0] <= bounds.east and bounds.south <= spot[1] <= bounds.north
        ):
            placed.append((name, *spot))
    size = _size(placed, cells)
    found: dict[tuple[int, int], _Cell] = {}
    for name, longitude, latitude in placed:
        cell = found.setdefault((int(longitude // size), int(latitude // size)), _Cell())
        cell.devices += 1
        cell.longitude += longitude
        cell.latitude += latitude
        summary = directory.summary(name)
        cell.silent += summary is None or summary.last_received_at < silent_before
        cell.flagged += name in open_flags
        cell.flags += open_flags.get(name, 0)
        cell.only = name
    return {
        "clusters": [_told(seen, cell) for _, cell in sorted(found.items())],
        "cell_deg": size,
        "unplaced": unplaced,
    }


def _size(placed: list[tuple[str, float, float]], cells: int) -> float:
    if not placed:
        return _FINEST
    longitudes, latitudes = [each[1] for each in placed], [each[2] for each in placed]
    span = max(max(longitudes) - min(longitudes), max(latitudes) - min(latitudes))
    return max(span / max(1, min(cells, MOST_CELLS)), _FINEST)


def _told(seen: Seen, cell: _Cell) -> dict[str, Any]:
    told: dict[str, Any] = {
        "longitude": cell.longitude / cell.devices,
        "latitude": cell.latitude / cell.devices,
        "devices": cell.devices,
        "silent": cell.silent,
        "flagged": cell.flagged,
        "flags": cell.flags,
    }
    if cell.devices == 1:
        told["device_id"] = cell.only
    return seen.privacy.device(told)


def sites(seen: Seen, *, region: str | None = None) -> list[dict[str, Any]]:
    """Sites by name, with how many devices of each kind, and flags that stand.

    ``heads`` says whether there is a ``station`` (a tank is gauged), a ``feeder`` (a master has
    electricity meters below it) or a ``district`` (meters of another kind), ``unbalanced`` whether
    a flag stands that a balance is off.

    Raises:
        AccessDenied: places are not for these eyes.
    """
    scope = seen.narrowed("" if region is None else region)
    return seen.world.recent.get(
        ("sites", scope, seen.privacy), KEPT_S, lambda: _sites(seen, scope)
    )


def _sites(seen: Seen, scope: Scope) -> list[dict[str, Any]]:
    directory = seen.world.directory
    open_flags = _standing(seen, scope)
    unbalanced = {name for (name,) in seen.world.store.ask(_UNBALANCED)}
    relations = directory.relations
    found: dict[str, dict[str, Any]] = {}
    for name in directory.ids(scope):
        device = directory.registry.get(name)
        if device is None or not device.site:
            continue
        site = found.get(device.site)
        if site is None:
            if len(found) == _MOST_SITES:
                continue
            site = found[device.site] = {
                "site": device.site, "region": device.region, "kinds": {}, "flags": 0,
                "heads": [], "unbalanced": False,
            }  # fmt: skip
        kind = device.kind or "unknown"
        site["kinds"][kind] = site["kinds"].get(kind, 0) + 1
        site["flags"] += open_flags.get(name, 0)
        head = _head(relations, name, kind)
        if head is not None:
            site["unbalanced"] |= name in unbalanced
            if head not in site["heads"]:
                site["heads"].append(head)
    return sorted(found.values(), key=lambda each: (-each["flags"], each["site"]))


def _head(relations: Relations, name: str, kind: str) -> str | None:
    """What a device heads."""
    if name in relations.tanks:
        return "station"
    if name not in relations.members:
        return None
    return "feeder" if kind == "electricity_meter" else "district"
