"""What a check is set to for one reading: by its profile, its region and its device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.checks.overrides import Overrides
from gateway.checks.settings import parse
from gateway.errors import ProfileError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.checks.settings import CheckSettings
    from gateway.devices import Registry
    from gateway.queries.seen import Seen
    from gateway.records import Reading


def settings_of(
    seen: Seen, known: Registry, reading: Reading | None, code: str, kind: str
) -> CheckSettings:
    """The settings of one check for a reading; the defaults where they cannot be known."""
    own: dict[str, Mapping[str, Any] | bool] = {}
    if reading is None:
        return parse(kind, own, "")
    profiles = seen.world.profiles.profiles
    profile = profiles.get(reading.profile) or profiles.get(reading.profile.partition("@")[0])
    if profile is not None and isinstance(profile.model.checks.get(code), dict):
        own[code] = profile.model.checks[code]
    told = Overrides(known, seen.world.regions).of(reading)
    try:
        over = own if told is None else told.over(own)
        return parse(kind, {each: over[each] for each in over if each == code}, "")
    except ProfileError:
        return parse(kind, own, "")
