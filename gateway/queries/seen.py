"""What one person sees of the world: the first argument of every question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway.access.roles import AccessDenied, Scope
from gateway.errors import GatewayError
from gateway.queries.directory import Directory
from gateway.queries.privacy import Privacy, without_others
from gateway.queries.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from gateway.casebook import Casebook
    from gateway.checks.overrides import Region
    from gateway.profiles import ProfileSet
    from gateway.records import Device
    from gateway.store.reading import StoreReader


class NotFound(GatewayError):
    """There is no such thing, or it is not within the scope of who asks: nobody learns which."""


class World:
    """Everything that can be asked.

    Args:
        store: readings, flags, quarantine.
        casebook: registry, decisions, people, audit.
        directory: the devices.
        profiles: the device profiles.
        ledger: the directory of the ledger.
        recent: keeps answers for some seconds.
        regions: what regions set otherwise than the profiles.
    """

    def __init__(
        self,
        store: StoreReader,
        casebook: Casebook,
        directory: Directory,
        profiles: ProfileSet,
        ledger: Path,
        *,
        recent: Recent | None = None,
        regions: Sequence[Region] = (),
    ) -> None:
        self.store = store
        self.casebook = casebook
        self.directory = directory
        self.profiles = profiles
        self.ledger = ledger
        self.recent = recent or Recent()
        self.regions = regions

    def profiles_of(self, vendor: str) -> list[str]:
        """Names of the profiles of a vendor's instruments."""
        return profiles_of(self.profiles, vendor)


def profiles_of(profiles: ProfileSet, vendor: str) -> list[str]:
    """Names of the profiles of a vendor's instruments."""
    return [
        profile.model.profile
        for profile in profiles.profiles.values()
        if profile.model.instrument.vendor == vendor
    ]


class Seen(msgspec.Struct, frozen=True):
    """The part of the world that somebody sees, and how exactly."""

    world: World
    scope: Scope
    privacy: Privacy

    def sees(self, device_id: str) -> bool:
        """Whether a device is seen."""
        return self.world.directory.sees(self.scope, device_id)

    def need(self, device_id: str) -> None:
        """Does nothing where a device is seen, and there is one.

        Raises:
            NotFound: there is none, or not here.
        """
        if device_id not in self.world.directory or not self.sees(device_id):
            raise NotFound(f"no device {device_id!r:.128}")

    def named(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """JSON, such as a device's parameters, in which no device of elsewhere is named."""
        if self.scope.everything:
            return value
        return without_others(value, self.sees, self.world.directory)

    def device(self, device_id: str) -> Device | None:
        """What is registered of a device now."""
        return self.world.directory.registry.get(device_id)

    def narrowed(self, region: str | None, site: str | None = None) -> Scope:
        """The part of the scope that lies in a district.

        Raises:
            AccessDenied: none does; or places are not for these eyes, and could be guessed so.
        """
        if (region is not None or site is not None) and not self.privacy.places:
            raise AccessDenied("places are not shown to this account, nor asked for")
        return self.scope.narrowed(region)

    def chosen(
        self,
        *,
        device_id: str | None = None,
        region: str | None = None,
        site: str | None = None,
        vendor: str | None = None,
    ) -> list[str] | None:
        """The devices that a question is about, as `StoreReader.ask` takes them; None for all.

        Raises:
            AccessDenied: the region lies outside of the scope.
        """
        scope = self.narrowed(region, site)
        if device_id is not None:
            return [device_id] if self.world.directory.sees(scope, device_id) else []
        if scope.everything and site is None and vendor is None:
            return None
        directory = self.world.directory
        ids: Iterable[str] = (
            directory.ids(scope) if site is None else directory.at_site(scope, site)
        )
        if vendor is not None:
            registry = directory.registry
            known = ((name, registry.get(name)) for name in ids)
            ids = [name for name, device in known if device is not None and device.vendor == vendor]
        return list(ids)


__all__ = ["Directory", "NotFound", "Privacy", "Scope", "Seen", "World"]
