"""Where devices are: clusters for a map, and sites."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.queries.devices import state_of
from gateway.queries.seen import NotFound

if TYPE_CHECKING:
    from gateway.queries.seen import Seen

MOST_CELLS: Final = 128
_FINEST: Final = 0.01
"""Degrees: positions are no finer to who sees them coarsely, and a cell must not tell more."""
_OPEN: Final = "SELECT device_id, count(*) FROM flags WHERE status = 'open' GROUP BY device_id"
_OPEN_OF: Final = (
    "SELECT device_id, count(*) FROM flags WHERE status = 'open' "
    "AND device_id IN (SELECT value FROM chosen) GROUP BY device_id"
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
    directory = seen.world.directory
    chosen = seen.chosen(region="" if region is None else region)
    open_flags = dict(
        seen.world.store.ask(_OPEN)
        if chosen is None
        else seen.world.store.ask(_OPEN_OF, chosen=chosen)
    )
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
        cell.silent += state_of(seen, name) != "reporting"
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

    Raises:
        AccessDenied: places are not for these eyes.
    """
    scope = seen.narrowed("" if region is None else region)
    directory = seen.world.directory
    chosen = seen.chosen(region="" if region is None else region)
    open_flags = dict(
        seen.world.store.ask(_OPEN)
        if chosen is None
        else seen.world.store.ask(_OPEN_OF, chosen=chosen)
    )
    found: dict[str, dict[str, Any]] = {}
    for name in directory.ids(scope):
        device = directory.registry.get(name)
        if device is None or not device.site:
            continue
        site = found.get(device.site)
        if site is None:
            if len(found) == _MOST_SITES:
                continue
            site = {"site": device.site, "region": device.region, "kinds": {}, "flags": 0}
            found[device.site] = site
        kind = device.kind or "unknown"
        site["kinds"][kind] = site["kinds"].get(kind, 0) + 1
        site["flags"] += open_flags.get(name, 0)
    return sorted(found.values(), key=lambda each: (-each["flags"], each["site"]))


def site_devices(seen: Seen, site: str) -> list[str]:
    """The devices of a site.

    Raises:
        NotFound: there is no such site within the scope.
        AccessDenied: places are not for these eyes.
    """
    found = seen.chosen(site=site)
    if not found:
        raise NotFound(f"no site {site!r:.128}")
    return found
