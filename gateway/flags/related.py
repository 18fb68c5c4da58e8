"""The incidents of what a store has: which flags are grouped, and by which relations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.devices import named_devices
from gateway.errors import ConfigError
from gateway.flags.incidents import Incident, Member, Rules, incidents
from gateway.flags.query import Choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.flags.query import Desk
    from gateway.flags.records import FlagView

_RELATIONS: Final = ("parent", "tank")
_MARGIN: Final = 7 * 86_400 * 10**9
PREFIX: Final = "inc-"
UNGROUPED: Final = frozenset(("withdrawn", "suppressed"))
"""Statuses of flags that are in no incident: there was nothing, or it is known maintenance."""


def member(view: FlagView) -> Member:
    """A flag as a member of incidents."""
    flag, device = view.flag, view.device
    places: tuple[str, ...] = ()
    if device is not None:
        places = tuple(
            f"device:{name}" for relation in _RELATIONS for name in named_devices(device, relation)
        )
        if device.site is not None:
            places = (f"site:{device.site}", *places)
    return Member(
        id=flag.id,
        device_id=flag.device_id,
        code=flag.code,
        severity=flag.severity,
        since=flag.since,
        until=flag.until,
        status=view.status,
        kind=flag.kind,
        region=None if device is None else device.region,
        site=None if device is None else device.site,
        places=places,
    )


def incidents_of(
    desk: Desk, choice: Choice | None = None, rules: Rules | None = None
) -> list[Incident]:
    """The incidents that have at least one flag of those asked for, the latest first.

    Grouped are all flags, whatever is asked for, so that an incident is the same in every list.
    With ``since`` or ``until`` only flags of a week around that time are: what has gone on for
    longer is then one incident from there on.

    Args:
        desk: where flags and decisions are.
        choice: which flags are asked for; all when None.
        rules: when flags belong together.
    """
    asked = choice or Choice()
    around = Choice(
        since=None if asked.since is None else asked.since - _MARGIN,
        until=None if asked.until is None else asked.until + _MARGIN,
    )
    wanted: set[str] = set()
    members = []
    for view in desk.views(around):
        if view.status in UNGROUPED or view.gone:
            continue
        members.append(member(view))
        if asked.takes(view):
            wanted.add(view.flag.id)
    found = incidents(members, rules)
    return [incident for incident in found if not wanted.isdisjoint(incident.flags)]


def flags_of(desk: Desk, incident_ids: Sequence[str]) -> dict[str, list[str]]:
    """The ids of the flags of incidents, each by beginning; grouped once, however many are asked.

    Raises:
        ConfigError: there is no such incident now; a late flag may have changed what it begins
            with.
    """
    if not incident_ids:
        return {}
    firsts = desk.look([each.removeprefix(PREFIX) for each in incident_ids])
    begin = min(view.flag.since for view in firsts)
    found = {each.id: each.flags for each in incidents_of(desk, Choice(since=begin))}
    for each in incident_ids:
        if each not in found:
            raise ConfigError(f"no incident {each} any more; `gateway flag incidents` tells them")
    return {each: found[each] for each in incident_ids}


def chosen(desk: Desk, ids: Sequence[str]) -> list[str]:
    """Ids of flags, with those of incidents in the place of the incidents' own."""
    members = flags_of(desk, [each for each in ids if each.startswith(PREFIX)])
    told: dict[str, None] = {}
    for each in ids:
        told.update(dict.fromkeys(members.get(each, [each])))
    return list(told)
