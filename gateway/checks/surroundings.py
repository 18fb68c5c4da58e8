"""What a check of several devices asks of its surroundings; a balance is struck again apart.

Processing judges a balance as messages come and keeps what is wrong, as a flag.  Who wants to see
the balance itself strikes it again, by the same code over the readings of a store (`Apart`):
nothing of that goes into the memory of processing or becomes a flag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from gateway.checks.series import recalled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.checks.settings import CheckSettings
    from gateway.profiles.layout import Layout
    from gateway.records import Device, Flag

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


class Surroundings(Protocol):
    """Layout and settings, the registry, the clock, and the memory of groups; see `Bound`."""

    @property
    def layout(self) -> Layout:
        """Of the readings."""

    @property
    def settings(self) -> CheckSettings:
        """Of the profile."""

    @property
    def devices(self) -> Mapping[str, Device]:
        """The registry."""

    @property
    def clock(self) -> int:
        """The latest time of receipt so far, ns."""

    def emit(self, flag: Flag | None, flags: list[Flag]) -> None:
        """Hands a flag out."""

    def not_judged(self, code: str, reason: str) -> None:
        """Counts what could not be judged."""

    def group(self, code: str, name: str, kind: type[_Struct]) -> _Struct:
        """What is remembered of several devices together."""


class Apart:
    """Surroundings of a balance that is struck again.

    Args:
        layout: of the readings.
        settings: of the profile.
        devices: the registry; the devices of the balance are enough.

    Attributes:
        clock: to be set before each reading.
        groups: what is remembered, shared by all who are given the same.
    """

    def __init__(
        self,
        layout: Layout,
        settings: CheckSettings,
        devices: Mapping[str, Device],
        groups: dict[str, Any] | None = None,
    ) -> None:
        self.layout = layout
        self.settings = settings
        self.devices = devices
        self.clock = 0
        self.groups: dict[str, Any] = {} if groups is None else groups

    def emit(self, flag: Flag | None, flags: list[Flag]) -> None:
        """Nothing: what is found again has been told."""

    def not_judged(self, code: str, reason: str) -> None:
        """Nothing: it has been counted."""

    def group(self, code: str, name: str, kind: type[_Struct]) -> _Struct:
        """What is remembered of several devices together, made new at the first sight."""
        return recalled(self.groups, f"{code} {name}", kind)
