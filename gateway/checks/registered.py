"""What the registry said of a device at a time, compiled once a version.

A certificate is dated to the day or the hour, and the board is changed some time in the visit:
around the beginning of a version both it and the one before count.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from gateway.devices import EVER, LATEST, since, versions_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gateway.records import Device

_T = TypeVar("_T")

VISIT: Final = 86_400 * 10**9
"""Nanoseconds around the beginning of a version in which the one before counts too."""


class Registered(Generic[_T]):
    """One fact of each device, or of each channel of it, by time.

    Args:
        devices: the registry.
        read: the fact in a version of a device, for a channel; None where it is not told.
        around: nanoseconds around the beginning of a version in which both count.
    """

    def __init__(
        self,
        devices: Mapping[str, Device],
        read: Callable[[Device, str | None], _T | None],
        around: int = 0,
    ) -> None:
        self._devices = devices
        self._read = read
        self._around = around
        self._always: dict[tuple[str, str | None], tuple[_T, ...]] = {}
        self._known: dict[tuple[str, str | None], tuple[list[int], list[tuple[_T, ...]]]] = {}

    def of(self, device_id: str, at: int, channel: str | None = None) -> tuple[_T, ...]:
        """What counts at a time, the oldest first; nothing where nothing is known."""
        key = device_id, channel
        always = self._always.get(key)
        if always is not None:
            return always
        known = self._known.get(key)
        if known is None:
            known = self._compiled(device_id, channel)
            if len(known[0]) == 1:
                self._always[key] = known[1][0]
                return known[1][0]
            self._known[key] = known
        begins, facts = known
        return facts[bisect_right(begins, at) - 1]

    def _compiled(
        self, device_id: str, channel: str | None
    ) -> tuple[list[int], list[tuple[_T, ...]]]:
        versions = versions_of(self._devices, device_id)
        begins = [since(version) for version in versions]
        spans = [
            (
                begin if begin == EVER else begin - self._around,
                LATEST if end is None else end + self._around,
                self._read(version, channel),
            )
            for version, begin, end in zip(versions, begins, [*begins[1:], None], strict=False)
        ]
        changes = sorted({EVER, *(s[0] for s in spans), *(s[1] for s in spans if s[1] != LATEST)})
        return changes, [
            _distinct(f for a, b, f in spans if a <= at < b and f is not None) for at in changes
        ]


def beginnings(devices: Mapping[str, Device], around: int = 0) -> Registered[int]:
    """When the versions that count began."""
    return Registered(devices, lambda version, _: since(version), around)


def numbers(devices: Mapping[str, Device], parameter: str, around: int = 0) -> Registered[float]:
    """A positive number of the registry, one for all channels or one a channel."""

    def read(version: Device, channel: str | None) -> float | None:
        return number_of(version.parameters.get(parameter), channel)

    return Registered(devices, read, around)


def _distinct(facts: Iterable[_T]) -> tuple[_T, ...]:
    """Each fact once, in their order; a fact may be a mapping."""
    found: list[_T] = []
    for fact in facts:
        if fact not in found:
            found.append(fact)
    return tuple(found)


def number_of(told: Any, channel: str | None) -> float | None:  # noqa: ANN401 - of the registry
    """A positive number of the registry: one for all channels, or one a channel."""
    if isinstance(told, dict):
        told = told.get(channel or "")
    if isinstance(told, bool) or not isinstance(told, (int, float)) or not 0 < told < float("inf"):
        return None
    return float(told)
