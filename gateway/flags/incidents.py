"""Flags that belong together, as one incident with a count.

Two flags belong together when

* they are of one device, and one began at most `Rules.gap` after the other's span ended (a span
  counts for `Rules.reach` at most: a certificate that has been expired for a year does not draw a
  year of flags together); or
* their devices have a *place* in common (site, feeder, tank), and the troubles of the devices, each
  grouped as above, *began* within `Rules.gap` of each other: a meter that is in trouble for weeks
  does not draw in what begins at its neighbours meanwhile; or
* they are of one *storm*: one code, one region, at least `Rules.storm_devices` devices, all begun
  within `Rules.storm`; and storms of one code that begin within `Rules.storm` of each other, in
  whichever regions, are one (a broker or a grid that was down).

What belongs together is followed through: if A belongs to B and B to C, they are one incident.  So
the result depends on the set of flags alone, not on their order.  Cost: sorting, n·log n.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SEVERITIES: Final = ("info", "minor", "major", "critical")
_MINUTE: Final = 60 * 10**9
_HOUR: Final = 60 * _MINUTE


class Rules(msgspec.Struct, frozen=True):
    """When flags belong together; times in ns."""

    gap: int = _HOUR
    reach: int = 24 * _HOUR
    storm: int = 10 * _MINUTE
    storm_devices: int = 5


class Member(msgspec.Struct, frozen=True, gc=False):
    """What an incident needs to know of a flag.

    ``places`` are sites and devices that the flag's device has in common with others, as names that
    no device has (``site:S``, ``device:F``).
    """

    id: str
    device_id: str
    code: str
    severity: str
    since: int
    until: int
    status: str = "open"
    kind: str = ""
    region: str | None = None
    site: str | None = None
    places: tuple[str, ...] = ()


class Incident(msgspec.Struct, frozen=True):
    """Flags that belong together; ``id`` comes from the one that began first.

    ``since``/``until`` are ns, of the first beginning and the last end.  ``codes`` and ``statuses``
    count flags; devices, sites and regions are sorted.  ``flags`` are ids by beginning.
    """

    id: str
    since: int
    until: int
    count: int
    severity: str
    codes: dict[str, int]
    statuses: dict[str, int]
    devices: list[str]
    sites: list[str]
    regions: list[str]
    kinds: list[str]
    flags: list[str]


class _Sets:
    """Disjoint sets of positions."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def find(self, item: int) -> int:
        parent = self._parent
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    def join(self, one: int, other: int) -> None:
        first, second = self.find(one), self.find(other)
        if first != second:
            # The lower position stays the root: then it is the same whatever was joined first.
            self._parent[max(first, second)] = min(first, second)


def incidents(members: Iterable[Member], rules: Rules | None = None) -> list[Incident]:
    """The incidents of flags, the latest beginning first; each flag is in exactly one.

    Args:
        members: flags in any order, no id twice.
        rules: when they belong together; the defaults of `Rules`.
    """
    chosen = rules or Rules()
    ordered = sorted(members, key=lambda member: (member.since, member.id))
    sets = _Sets(len(ordered))
    _join_devices(ordered, sets, chosen)
    _join_places(ordered, sets, chosen)
    _join_storms(ordered, sets, chosen)
    groups: dict[int, list[Member]] = {}
    for position, member in enumerate(ordered):
        groups.setdefault(sets.find(position), []).append(member)
    made = [_incident(group) for group in groups.values()]
    made.sort(key=lambda incident: (-incident.since, incident.id))
    return made


def _join_devices(ordered: Sequence[Member], sets: _Sets, rules: Rules) -> None:
    """Joins what is near in time at one device: spans in the order of their beginnings."""
    last: dict[str, tuple[int, int]] = {}
    for position, member in enumerate(ordered):
        end = max(member.since, min(member.until, member.since + rules.reach))
        before = last.get(member.device_id)
        if before is not None and member.since <= before[0] + rules.gap:
            sets.join(before[1], position)
            end = max(end, before[0])
        last[member.device_id] = end, position


def _join_places(ordered: Sequence[Member], sets: _Sets, rules: Rules) -> None:
    """Joins the troubles of devices of one place that began near each other."""
    # The first of a device's trouble is its lowest position, and its root.
    heads = [sets.find(position) for position in range(len(ordered))]
    begun: dict[str, set[int]] = {}
    for head, member in zip(heads, ordered, strict=True):
        for place in (f"device:{member.device_id}", *member.places):
            begun.setdefault(place, set()).add(head)
    for found in begun.values():
        if len(found) < 2:
            continue
        together = sorted(found)
        for one, other in pairwise(together):
            if ordered[other].since - ordered[one].since <= rules.gap:
                sets.join(one, other)


def _join_storms(ordered: Sequence[Member], sets: _Sets, rules: Rules) -> None:
    """Joins many devices with one code in one region within minutes, then such storms."""
    by_area: dict[tuple[str, str | None], list[int]] = {}
    for position, member in enumerate(ordered):
        by_area.setdefault((member.code, member.region), []).append(position)
    storms: dict[str, list[int]] = {}
    for (code, _), positions in by_area.items():
        if len(positions) < rules.storm_devices:
            continue
        for first, end in _bursts(ordered, positions, rules):
            storms.setdefault(code, []).append(positions[first])
            for at in range(first + 1, end):
                sets.join(positions[first], positions[at])
    for begins in storms.values():
        begins.sort()
        head = begins[0]
        for position in begins[1:]:
            if ordered[position].since - ordered[head].since <= rules.storm:
                sets.join(head, position)
            else:
                head = position


def _bursts(
    ordered: Sequence[Member], positions: Sequence[int], rules: Rules
) -> list[tuple[int, int]]:
    """Runs [first, end) that begin within the time of a storm and are of enough devices."""
    found: list[tuple[int, int]] = []
    devices: Counter[str] = Counter()
    first = end = 0
    while first < len(positions):
        limit = ordered[positions[first]].since + rules.storm
        while end < len(positions) and ordered[positions[end]].since <= limit:
            devices[ordered[positions[end]].device_id] += 1
            end += 1
        if len(devices) >= rules.storm_devices:
            found.append((first, end))
            devices.clear()
            first = end
            continue
        name = ordered[positions[first]].device_id
        devices[name] -= 1
        if not devices[name]:
            del devices[name]
        first += 1
    return found


def _incident(group: Sequence[Member]) -> Incident:
    first = group[0]
    if len(group) == 1:  # most are: no counting
        return Incident(
            id=f"inc-{first.id}",
            since=first.since,
            until=first.until,
            count=1,
            severity=first.severity,
            codes={first.code: 1},
            statuses={first.status: 1},
            devices=[first.device_id],
            sites=[] if first.site is None else [first.site],
            regions=[] if first.region is None else [first.region],
            kinds=[first.kind] if first.kind else [],
            flags=[first.id],
        )
    codes = Counter(member.code for member in group)
    return Incident(
        id=f"inc-{first.id}",
        since=first.since,
        until=max(member.until for member in group),
        count=len(group),
        severity=max((member.severity for member in group), key=SEVERITIES.index),
        codes=dict(sorted(codes.items(), key=lambda item: (-item[1], item[0]))),
        statuses=dict(sorted(Counter(member.status for member in group).items())),
        devices=sorted({member.device_id for member in group}),
        sites=sorted({member.site for member in group if member.site is not None}),
        regions=sorted({member.region for member in group if member.region is not None}),
        kinds=sorted({member.kind for member in group if member.kind}),
        flags=[member.id for member in group],
    )
