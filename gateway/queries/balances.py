"""Balances of a site or of one device: tanks against what was sold, masters against their members.

Nothing is told of a balance of which some device lies outside of the scope: a sum would tell of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.checks.drawing import nozzles_of, tank_of
from gateway.checks.energy_balance import CODE as UNBALANCED
from gateway.checks.wet_stock import LOSS, SURPLUS
from gateway.errors import ConfigError
from gateway.queries import feeders, stock
from gateway.queries.devices import state_of
from gateway.queries.flags import touching
from gateway.queries.privacy import PERSONAL
from gateway.queries.readings import levels
from gateway.queries.seen import NotFound
from gateway.times import DAY, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gateway.checks.drawing import Place
    from gateway.queries.seen import Seen

MOST_DAYS: Final = 31
MOST_TANKS: Final = 16
MOST_FEEDERS: Final = 6
MOST_MEMBERS: Final = 400
KEPT_S: Final = 20.0
CODES: Final = (SURPLUS, LOSS, UNBALANCED)
_MOST_FLAGS: Final = 200
_BESIDE: Final[tuple[str, ...]] = (
    "id",
    "device_id",
    "channel",
    "code",
    "severity",
    "from",
    "to",
    "title",
    "status",
)
"""What is told of a flag that stands beside a balance."""
_PLOTTED: Final = 4
_LEVELS: Final = {
    "electricity_meter": "energy_import", "water_meter": "volume", "gas_meter": "volume",
    "heat_meter": "energy", "ev_charger": "energy_import", "fuel_dispenser": "tank_volume",
}  # fmt: skip


class Subject(msgspec.Struct, frozen=True):
    """What is balanced: tanks, masters, and devices whose registers are shown instead."""

    tanks: tuple[Place, ...] = ()
    masters: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """The balances, and the devices that they name whose readings tell of people."""

    told: dict[str, Any]
    personal: list[str]


def of_site(seen: Seen, site: str, *, days: int, until: int | None, flags: bool) -> Answer:
    """The balances of what stands at a site.

    Args:
        seen: who looks.
        site: by name.
        days: how many, of midnight to midnight UTC, up to `MOST_DAYS`.
        until: ns; the last day is the one in which it lies.  None: where the readings end.
        flags: whether he may see flags.

    Raises:
        NotFound: no device of the scope stands there.
        AccessDenied: places are not for these eyes.
    """
    seen.narrowed(None, site)
    relations = seen.world.directory.relations
    here = seen.world.directory.at_site(seen.scope, site)
    if not here:
        raise NotFound(f"no site {site!r:.128}")
    tanks = [*relations.tanks_of(here)]
    masters = [name for name in here if name in relations.members]
    shown = [] if tanks or masters else _shown(seen, here)
    subject = Subject(tuple(tanks), tuple(masters), tuple(shown))
    return _answer(seen, {"site": site}, subject, days=days, until=until, flags=flags)


def of_device(seen: Seen, device_id: str, *, days: int, until: int | None, flags: bool) -> Answer:
    """The balances that a device heads: of the tanks it gauges, of the meters below it.

    Raises:
        NotFound: there is no such device in the scope.
        AccessDenied: places are not for these eyes.
    """
    seen.narrowed("")
    seen.need(device_id)
    relations = seen.world.directory.relations
    subject = Subject(
        tuple(relations.tanks.get(device_id, ())),
        (device_id,) if device_id in relations.members else (),
    )
    return _answer(seen, {"device_id": device_id}, subject, days=days, until=until, flags=flags)


def _answer(
    seen: Seen, head: dict[str, Any], subject: Subject, *, days: int, until: int | None, flags: bool
) -> Answer:
    if not 1 <= days <= MOST_DAYS:
        raise ConfigError(f"days: from 1 to {MOST_DAYS}, got {days}")
    relations = seen.world.directory.relations
    balance = _Balance(seen)
    tanks = [each for each in subject.tanks[:MOST_TANKS] if balance.takes_tank(each)]
    masters = [each for each in subject.masters[:MOST_FEEDERS] if balance.takes_master(each)]
    names = {name for place in tanks for name in (place[0], *relations.drawing[place])}
    names.update(masters, subject.shown)
    told = head | {"days": days, "since": None, "until": None, "tanks": [], "feeders": []}
    told["left_out"] = balance.left_out
    if len(subject.tanks) > MOST_TANKS or len(subject.masters) > MOST_FEEDERS:
        told["left_out"].append({"device_id": None, "reason": "too_many"})
    end = _end(seen, names, until)
    if end is None:
        return Answer(told, [])
    below = {name for master in masters for name in relations.members[master]}
    taken = Subject(tuple(tanks), tuple(masters), subject.shown)
    span = (end - days * DAY, end)
    # What people decide about flags shows at once; the balances may be some seconds old.
    found = touching(seen, sorted(names | below), *span, most=_MOST_FLAGS)
    key = ("balance", seen.scope, seen.privacy, taken, span)
    struck = seen.world.recent.get(key, KEPT_S, lambda: _struck(seen, taken, span, found))
    told |= struck
    for part in ("tanks", "feeders"):
        told[part] = [each | _flags(each, found if flags else ()) for each in struck[part]]
    looked = (*masters, *sorted(below), *subject.shown)
    return Answer(told, [name for name in dict.fromkeys(looked) if _kind(seen, name) in PERSONAL])


def _struck(
    seen: Seen, subject: Subject, span: tuple[int, int], flags: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The balances of a span; the flags are those that touch it."""
    since, until = span
    told: dict[str, Any] = {"since": rfc3339(since), "until": rfc3339(until), "tanks": []}
    if subject.tanks:
        struck = stock.strike(seen, subject.tanks, since, until)
        told["tanks"] = [_tank(seen, struck, place) for place in subject.tanks]
        told["since"] = rfc3339(struck.since)
    told["feeders"] = [_feeder(seen, name, since, until, flags) for name in subject.masters]
    if subject.shown:
        told["levels"] = _levels(seen, subject.shown, since, until)
    return told


def _flags(balance: dict[str, Any], found: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Of all flags those that say that a balance is off, and the others of its devices."""
    own, beside = [], []
    below = {each["device_id"] for each in balance.get("nozzles", balance.get("members", ()))}
    head, channel = balance["device_id"], balance.get("channel")
    for flag in found:
        if flag["code"] in CODES:
            if flag["device_id"] == head and flag.get("channel") == channel:
                own.append(flag)
        elif flag["device_id"] in below or flag["device_id"] == head:
            beside.append({name: flag[name] for name in _BESIDE if name in flag})
    return {"flags": own, "beside": beside}


class _Balance:
    """Which balances can be told, and why others are left out."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self.left_out: list[dict[str, Any]] = []

    def takes_tank(self, place: Place) -> bool:
        """Whether gauge and dispensers all are seen."""
        names = (place[0], *self._seen.world.directory.relations.drawing[place])
        return self._takes(place[0], names)

    def takes_master(self, master: str) -> bool:
        """Whether a master and its members all are seen, and of a kind that can be added up."""
        members = self._seen.world.directory.relations.members[master]
        if len(members) > MOST_MEMBERS:
            return self._refuse(master, "too_many_members")
        kinds = {_kind(self._seen, name) for name in (master, *members)}
        if len(kinds) != 1 or not kinds <= set(feeders.REGISTERS):
            return self._refuse(master, "kinds_differ")
        return self._takes(master, (master, *members))

    def _takes(self, head: str, names: Iterable[str]) -> bool:
        if not all(map(self._seen.sees, names)):
            return self._refuse(head, "outside")
        return True

    def _refuse(self, head: str, reason: str) -> bool:
        if self._seen.sees(head):
            self.left_out.append({"device_id": head, "reason": reason})
        return False


def _end(seen: Seen, names: Iterable[str], until: int | None) -> int | None:
    """The midnight at which the last day ends; None where nothing was measured."""
    if until is None:
        measured = (
            # Of a clock that is ahead the time of receipt is nearer.
            min(each.last_measured_at, each.last_received_at)
            for name in names
            for each in seen.world.directory.summaries.get(name, ())
        )
        until = max(measured, default=None)
        if until is None:
            return None
    return (until - 1) // DAY * DAY + DAY


def _tank(seen: Seen, struck: stock.Struck, place: Place) -> dict[str, Any]:
    gauge, channel = place
    device = seen.device(gauge)
    tanks = device.parameters.get("tanks") if device else None
    facts = tanks.get(channel) if isinstance(tanks, dict) else None
    facts = facts if isinstance(facts, dict) else {}
    return {
        "device_id": gauge,
        "channel": channel,
        "state": state_of(seen, gauge),
        "product": facts.get("product"),
        "capacity": facts.get("capacity"),
        "nozzles": list(_nozzles(seen, struck, place)),
    } | stock.record(struck, place)


def _nozzles(seen: Seen, struck: stock.Struck, place: Place) -> Iterator[dict[str, Any]]:
    """The nozzles that draw from a tank now, with what they told."""
    for name in seen.world.directory.relations.drawing[place]:
        dispenser = seen.device(name)
        for nozzle in () if dispenser is None else nozzles_of(dispenser):
            if dispenser is not None and tank_of(dispenser, nozzle) == place:
                yield {
                    "device_id": name,
                    "nozzle": nozzle,
                    "state": state_of(seen, name),
                    "sold": struck.told.sold.get((name, nozzle), 0.0),
                    "sales": struck.told.sales.get((name, nozzle), 0),
                }


def _feeder(
    seen: Seen, master: str, since: int, until: int, flags: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    members = seen.world.directory.relations.members[master]
    kind = _kind(seen, master)
    # The first flag of these days tells what had been learned before it.
    own = [each for each in flags if each["device_id"] == master and each["code"] == UNBALANCED]
    evidence = own[-1]["evidence"] if own else None
    struck = feeders.strike(
        seen, master, members, kind=kind, since=since, until=until, evidence=evidence
    )
    states = [{"device_id": name, "state": state_of(seen, name)} for name in members]
    return {
        "device_id": master,
        "kind": kind,
        "state": state_of(seen, master),
        "members": states,
    } | feeders.record(struck, kind)


def _levels(seen: Seen, names: Sequence[str], since: int, until: int) -> list[dict[str, Any]]:
    """Registers of devices that head no balance, a line a device."""
    found = []
    for kind in dict.fromkeys(_kind(seen, name) for name in names):
        of_kind = [name for name in names if _kind(seen, name) == kind]
        found += levels(seen, of_kind, kind, _LEVELS[kind], span=(since, until))
    return found


def _shown(seen: Seen, names: Iterable[str]) -> list[str]:
    known = [
        name
        for name in names
        if _kind(seen, name) in _LEVELS and name in seen.world.directory.summaries
    ]
    return known[:_PLOTTED]


def _kind(seen: Seen, name: str) -> str:
    summary = seen.world.directory.summary(name)
    device = seen.device(name)
    return summary.kind if summary else (device and device.kind) or "unknown"
