"""The devices there are, in memory: what is registered of each, and what the store has of it.

A list of devices has to be filtered by district, searched and sorted within milliseconds, over a
hundred thousand of them, and half of what is said of a device is in the casebook, half in the
store.  So one process keeps both: the registry is read again when an import has changed it, and of
the store only the readings behind the last position are counted (a tenth of a second a million);
all of them again when retention has removed some, at most every ten minutes.
"""
# ruff: noqa: S608 - the only names in these statements are our own tables

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa

from gateway.devices import Registry
from gateway.quantities import KINDS
from gateway.queries.relations import Relations
from gateway.registry.tables import DEVICE, read_registry
from gateway.store.schema import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.access.roles import Scope
    from gateway.casebook import Casebook
    from gateway.records import Device
    from gateway.store.reading import StoreReader

_FRESH_S: Final = 2.0
_RECOUNT_S: Final = 600.0
_KEPT: Final = 64
_PART: Final = 5_000_000
_STATE: Final = (
    "SELECT position, commits, (SELECT coalesce(sum(total), 0)::BIGINT FROM removed) "
    "FROM checkpoint"
)
_SUMMARIES: Final = " UNION ALL ".join(
    f"SELECT device_id, '{kind}', arg_max(profile, position), epoch_ns(min(measured_at)), "
    "epoch_ns(max(measured_at)), epoch_ns(max(received_at)), count(*) "
    f"FROM {table(kind)} WHERE position > $1 AND position <= $2 GROUP BY device_id"
    for kind in KINDS
)


class Summary(msgspec.Struct):
    """What the store has of one device and kind; times in ns UTC."""

    kind: str
    profile: str
    first_measured_at: int
    last_measured_at: int
    last_received_at: int
    readings: int


class Directory:
    """All devices; used by several threads.

    Args:
        store: to be asked for readings.
        casebook: with the registry.
        clock: seconds, for how long an answer stands.
    """

    def __init__(
        self,
        store: StoreReader,
        casebook: Casebook,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._casebook = casebook
        self._clock = clock
        self._lock = threading.Lock()
        self._looked = float("-inf")
        self._audit_id = -1
        self._position = self._commits = self._removed = 0
        self._counted_all = float("-inf")
        self.registry = Registry()
        self.relations = Relations(self.registry)
        self.summaries: dict[str, list[Summary]] = {}
        self.latest_receipt = 0
        self._ids: list[str] = []
        self._kept: dict[Scope, tuple[list[str], frozenset[str]]] = {}

    def refresh(self) -> None:
        """Takes in what is new, at most every two seconds.

        Raises:
            StoreUnavailable: processing is not there to be asked; what is known stays.
        """
        with self._lock:
            now = self._clock()
            if now - self._looked < _FRESH_S:
                return
            before = len(self.summaries)
            changed = self._read_registry()
            try:
                self._count_readings()
            finally:
                if changed or len(self.summaries) != before or not self._ids:
                    self._ids = sorted({*self.registry, *self.summaries})
            self._looked = now

    def _read_registry(self) -> bool:
        with self._casebook.transaction(reading=True) as connection:
            latest = connection.scalar(sa.select(sa.func.max(DEVICE.c.audit_id))) or 0
            if latest == self._audit_id:
                return False
            registry = read_registry(connection)
        self.registry, self.relations = registry, Relations(registry)
        self._audit_id = latest
        self._kept.clear()
        return True

    def _count_readings(self) -> None:
        ((position, commits, removed),) = self._store.ask(_STATE)
        # Another file: a reprocess has put one in its place.
        other = position < self._position or commits < self._commits
        now = self._clock()
        old = removed != self._removed and self._counted_all + _RECOUNT_S <= now
        if other or old or not self._position:
            self.summaries, self._position, self.latest_receipt = {}, 0, 0
            self._removed, self._counted_all = removed, now
        self._commits = commits
        # In parts, each of which fits the time that a question has, however many there are.
        while self._position < position:
            reached = min(self._position + _PART, position)
            for row in self._store.ask(_SUMMARIES, [self._position, reached]):
                self._count(*row)
            self._position = reached

    def _count(self, device_id: str, kind: str, profile: str, *of_kind: int) -> None:
        first, last, received, readings = of_kind
        self.latest_receipt = max(self.latest_receipt, received)
        of_device = self.summaries.setdefault(device_id, [])
        known = next((each for each in of_device if each.kind == kind), None)
        if known is None:
            of_device.append(Summary(kind, profile, first, last, received, readings))
            return
        known.profile = profile
        known.first_measured_at = min(known.first_measured_at, first)
        known.last_measured_at = max(known.last_measured_at, last)
        known.last_received_at = max(known.last_received_at, received)
        known.readings += readings

    def ids(self, scope: Scope) -> list[str]:
        """The devices within a scope, sorted."""
        return self._ids if scope.everything else self._of(scope)[0]

    def at_site(self, scope: Scope, site: str) -> list[str]:
        """The devices within a scope that are registered at a site now, sorted."""
        return sorted(name for name in self.relations.sites.get(site, ()) if self.sees(scope, name))

    def sees(self, scope: Scope, device_id: str) -> bool:
        """Whether a device is within a scope, by what is registered of it now."""
        return scope.everything or within(self.registry.get(device_id), scope)

    def __contains__(self, device_id: object) -> bool:
        return device_id in self.registry or device_id in self.summaries

    def members(self, scope: Scope) -> frozenset[str]:
        """The devices within a scope, to be looked up."""
        return frozenset(self._ids) if scope.everything else self._of(scope)[1]

    def _of(self, scope: Scope) -> tuple[list[str], frozenset[str]]:
        found = self._kept.get(scope)
        if found is None:
            ids = list(_within(self.registry.items(), scope))
            found = sorted(ids), frozenset(ids)
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[scope] = found
        return found

    def summary(self, device_id: str) -> Summary | None:
        """What the store has of a device; of several kinds the one that came last."""
        of_device = self.summaries.get(device_id)
        if not of_device:
            return None
        if len(of_device) == 1:
            return of_device[0]
        return max(of_device, key=lambda each: each.last_received_at)


def within(device: Device | None, scope: Scope) -> bool:
    """Whether a device is within a scope; one that is not registered is in no narrow one."""
    if scope.everything:
        return True
    return (
        device is not None
        and (device.region or "").startswith(scope.region)
        and scope.vendor in (None, device.vendor)
    )


def _within(devices: Iterable[tuple[str, Device]], scope: Scope) -> Iterable[str]:
    return (name for name, device in devices if within(device, scope))
