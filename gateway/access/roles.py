"""Roles, what each may do, and the scope within which.  Pure."""

from __future__ import annotations

import re
from typing import Final, Literal, get_args

import msgspec

from gateway.errors import ConfigError, GatewayError

Role = Literal["viewer", "inspector", "administrator", "vendor", "auditor"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

Permission = Literal[
    "devices",
    "places",
    "exact",
    "readings",
    "flags",
    "decide",
    "quarantine",
    "evidence",
    "quality",
    "profiles",
    "ingest",
    "export",
    "audit",
    "users",
]
"""What can be allowed.

``places``: regions, sites and positions at all; ``exact``: positions and payloads as they are,
owners, serial numbers, and exports with real names (without it positions are coarse and exports
have pseudonyms); the others are the parts of the API.
"""
PERMISSIONS: Final[tuple[Permission, ...]] = get_args(Permission)

_VIEWER: Final[frozenset[Permission]] = frozenset(
    ("devices", "places", "readings", "flags", "quality", "profiles", "ingest", "export")
)
_SEES_ALL: Final[frozenset[Permission]] = frozenset(("exact", "quarantine", "evidence"))
_DECIDES: Final[frozenset[Permission]] = frozenset(("decide",))
_AUDITS: Final[frozenset[Permission]] = frozenset(("audit",))
ALLOWED: Final[dict[Role, frozenset[Permission]]] = {
    "viewer": _VIEWER,
    "inspector": _VIEWER | _SEES_ALL | _DECIDES,
    "administrator": frozenset(PERMISSIONS),
    "vendor": frozenset(("devices", "flags", "quarantine", "quality", "profiles", "export")),
    "auditor": _VIEWER | _SEES_ALL | _AUDITS,
}

_REGION: Final = re.compile(r"(?:[1-9]\d(?:\d\d){0,2})?", re.ASCII)


class AccessDenied(GatewayError):
    """Who asks may not do this; the message says which permission it takes."""


class Scope(msgspec.Struct, frozen=True):
    """What of the world is seen: devices registered in a district, or of a vendor, or both.

    ``region`` is a beginning of a GB/T 2260 code, empty for the whole country; ``vendor`` the
    registered vendor of the devices, None for all.  Where either narrows, devices that are not
    registered are not seen.
    """

    region: str
    vendor: str | None

    @property
    def everything(self) -> bool:
        """Whether nothing is left out, devices that nobody has registered included."""
        return not self.region and self.vendor is None

    def within(self, other: Scope) -> bool:
        """Whether all that this one sees is also seen by another."""
        return self.region.startswith(other.region) and other.vendor in (None, self.vendor)

    def narrowed(self, region: str | None) -> Scope:
        """The part of this scope that lies in a district; AccessDenied where none does."""
        if region is None or self.region.startswith(region):
            return self
        if not region.startswith(self.region):
            raise AccessDenied(f"region {region} is not within {self.region}")
        return Scope(checked_region(region), self.vendor)


EVERYTHING: Final = Scope("", None)


def checked_role(role: str) -> Role:
    """A role.

    Raises:
        ConfigError: there is no such role.
    """
    for known in ROLES:
        if role == known:
            return known
    raise ConfigError(f"role {role!r:.40}: known are {', '.join(ROLES)}")


def checked_region(region: str) -> str:
    """A district: two, four or six digits of a GB/T 2260 code, or nothing for the whole country.

    Raises:
        ConfigError: it is none.
    """
    if _REGION.fullmatch(region) is None:
        raise ConfigError(
            f"region {region!r:.40}: two, four or six digits of a GB/T 2260 code, such as 3301"
        )
    return region


def checked_scope(role: Role, region: str, vendor: str | None) -> Scope:
    """The scope of a person of a role.

    Raises:
        ConfigError: the role ``vendor`` has a vendor, and no other one has.
    """
    if (role == "vendor") != bool(vendor):
        raise ConfigError("role vendor takes the name of a vendor, and no other role does")
    return Scope(checked_region(region), vendor or None)
