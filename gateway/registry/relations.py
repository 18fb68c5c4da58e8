"""Whether the registry hangs together after an import: parents, tanks, nozzles, sites, owners.

A parent that is not there, a cycle, a nozzle of a station that two devices claim forbid an import;
a site or owner that nobody registered, although others are, and a tank at another site are odd.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.devices import EVER, named_devices, since
from gateway.records import Device, Owner, Site

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from gateway.registry.changes import Known
    from gateway.registry.entries import Entry

RELATIONS: Final = ("parent", "tank")
"""Parameters that name other devices."""

_EXAMPLES: Final = {
    "parent": 'the device_id of the feeder or master meter above, such as "f-12"',
    "tank": 'the device_id of a tank gauge, such as "tank-92", or one a nozzle: {"1": "tank-92"}',
}


class Verdict(NamedTuple):
    """What forbids an import, and what is only odd."""

    faults: list[str]
    warnings: list[str]


def named_by(entries: Iterable[Entry]) -> set[str]:
    """The devices that those of the entries name in their relations."""
    return {
        other
        for each in entries
        if isinstance(each.record, Device)
        for relation in RELATIONS
        if relation in each.record.parameters
        for other in named_devices(each.record, relation)
    }


def sites_with_nozzles(entries: Iterable[Entry]) -> set[str]:
    """The sites at which a device of the entries is, or has, a numbered nozzle."""
    return {
        each.record.site
        for each in entries
        if isinstance(each.record, Device)
        and each.record.site is not None
        and "nozzle" in each.record.parameters
    }


def check(
    entries: Sequence[Entry], known: Known, refused: AbstractSet[str] = frozenset()
) -> Verdict:
    """Judges the relations of the devices of an import.

    Args:
        entries: what is imported.
        known: the versions after the import: of these devices, of all that are reached from them
            by parents and tanks, of all at the same sites that have a nozzle, and every site and
            owner.
        refused: devices of the import whose own rows are faulty: that they are missing is told
            there.
    """
    check = _Check(known, refused)
    strangers = _Strangers(known)
    nozzles = _Nozzles(known) if sites_with_nozzles(entries) else None
    for place, record in entries:
        strangers.see(record, place)
        if not isinstance(record, Device) or not record.parameters:
            continue
        for relation in RELATIONS:
            if relation in record.parameters:
                check.relation(record, relation, place)
        if nozzles is not None and "nozzle" in record.parameters:
            nozzles.see(record, place, check.verdict)
    check.verdict.warnings.extend(strangers.told())
    return check.verdict


class _Check:
    """Judges what devices say of each other."""

    def __init__(self, known: Known, refused: AbstractSet[str]) -> None:
        self.known = known
        self.refused = refused
        self.verdict = Verdict([], [])

    def relation(self, device: Device, relation: str, place: str) -> None:
        """One parameter that names other devices."""
        where = f"{place}: parameters.{relation}"
        told = device.parameters[relation]
        values = list(told.values()) if isinstance(told, dict) and relation == "tank" else [told]
        if not values or not all(isinstance(value, str) and value for value in values):
            self.verdict.faults.append(f"{where}: must be {_EXAMPLES[relation]}, got {told!r:.60}")
            return
        for other in dict.fromkeys(values):
            versions = self.known.devices(other)
            if other == device.device_id:
                self.verdict.faults.append(f"{where}: {other!r} is the device itself")
            elif versions:
                self._between(device, versions[-1], relation, where)
            elif other not in self.refused:
                self.verdict.faults.append(
                    f"{where}: no device {other!r} is registered, nor is it in this import; "
                    "register it, or mend the name"
                )

    def _between(self, device: Device, other: Device, relation: str, where: str) -> None:
        mine, name = device.device_id, other.device_id
        if relation == "parent":
            if other.kind != device.kind:
                self.verdict.warnings.append(
                    f"{where}: {name!r} is a {other.kind}, {mine!r} a {device.kind}"
                )
            self._no_cycle(device, where)
        elif other.site != device.site:
            self.verdict.warnings.append(
                f"{where}: {name!r} is at site {other.site!r}, {mine!r} at {device.site!r}"
            )

    def _no_cycle(self, device: Device, where: str) -> None:
        """Follows the parents at the times when a version of the device begins."""
        for version in self.known.devices(device.device_id):
            chain = [device.device_id]
            upper: Device | None = version
            while upper is not None:
                name = next(iter(named_devices(upper, "parent")), None)
                if name is None:
                    break
                chain.append(name)
                if name == device.device_id and len(chain) > 2:
                    self.verdict.faults.append(
                        f"{where}: a cycle, each is the parent of the one before: "
                        f"{' → '.join(chain)}"
                    )
                    return
                if name in chain[:-1]:
                    break  # a cycle further up, which is told of its own devices
                upper = _valid(self.known.devices(name), since(version))


def _valid(versions: Sequence[Device], moment: int) -> Device | None:
    held = [version for version in versions if since(version) <= moment]
    if not held and versions and moment == EVER:
        return versions[0]
    return held[-1] if held else None


class _Nozzles:
    """Which devices have which nozzle of a station: the number on the pump is there once."""

    def __init__(self, known: Known) -> None:
        self._holders: dict[tuple[str, str], dict[str, None]] = {}
        for name in sorted(known.names("device")):
            for key in self._keys(known.devices(name)[-1]):
                self._holders.setdefault(key, {})[name] = None

    @staticmethod
    def _keys(device: Device) -> list[tuple[str, str]]:
        told = device.parameters.get("nozzle")
        values = told if isinstance(told, list) else [told]
        return [(device.site, str(v)) for v in values if device.site and v is not None]

    def see(self, device: Device, place: str, verdict: Verdict) -> None:
        """Tells the nozzles of a device that another one of its site has, or that it has twice."""
        where = f"{place}: parameters.nozzle"
        keys = self._keys(device)
        for key in dict.fromkeys(keys):
            site, nozzle = key
            others = [n for n in self._holders.get(key, ()) if n != device.device_id]
            if keys.count(key) > 1:
                verdict.faults.append(f"{where}: {nozzle} is there twice")
            elif others:
                verdict.faults.append(
                    f"{where}: nozzle {nozzle} of site {site!r} is that of device {others[0]!r}, "
                    "too; a nozzle of a station is named once"
                )


class _Strangers:
    """Sites and owners that devices name and nobody registered, where others are registered."""

    def __init__(self, known: Known) -> None:
        self._known = {kind: known.names(kind) for kind in ("site", "owner")}
        self._counts: dict[tuple[str, str], int] = {}
        self._first: dict[tuple[str, str], str] = {}

    def see(self, record: object, place: str) -> None:
        """Notes what a device or site names."""
        for kind in ("site", "owner"):
            named = getattr(record, kind, None)
            mine = (kind == "site" and isinstance(record, Site)) or isinstance(record, Owner)
            if named is None or mine or not self._known[kind] or named in self._known[kind]:
                continue
            self._counts[kind, named] = self._counts.get((kind, named), 0) + 1
            self._first.setdefault((kind, named), place)

    def told(self) -> list[str]:
        """One line for each, with where it came first."""
        return [
            f"{self._first[kind, name]}: {kind}: {name!r} is no registered {kind}"
            + (f", as of {count - 1} more rows" if count > 1 else "")
            for (kind, name), count in self._counts.items()
        ]
