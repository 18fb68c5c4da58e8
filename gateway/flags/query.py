"""Flags with what people have said of them: lists, one flag's history, exports.

Everything here only reads, and gives records: the command line, the API and the console show them.
"""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.errors import ConfigError
from gateway.flags import tables
from gateway.flags.records import Case, Event, FlagView, Occurrence, Suppression
from gateway.flags.states import merged
from gateway.flags.suppressions import Windows, registered
from gateway.registry.tables import read_versions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from gateway.casebook import Casebook
    from gateway.devices import Registry
    from gateway.records import Device, Flag
    from gateway.store import Readable

_CHUNK: Final = 500
_SEVERITIES: Final = ("info", "minor", "major", "critical")


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Which flags are asked for; what is None or empty does not narrow.

    ``since``/``until`` in ns: flags whose span touches [since, until).  ``region`` is a beginning
    of a GB/T 2260 code.  ``statuses`` empty is all but ``withdrawn``.
    """

    code: str | None = None
    kind: str | None = None
    device_id: str | None = None
    region: str | None = None
    site: str | None = None
    severity: str | None = None
    statuses: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    ids: tuple[str, ...] | None = None

    def takes(self, view: FlagView) -> bool:
        """Whether a flag is asked for."""
        flag, device = view.flag, view.device
        region = (device.region if device is not None else None) or ""
        return (
            (view.status in self.statuses if self.statuses else view.status != "withdrawn")
            and (self.region is None or region.startswith(self.region))
            and (self.site is None or (device is not None and device.site == self.site))
            and self.code in (None, flag.code)
            and self.kind in (None, flag.kind)
            and self.device_id in (None, flag.device_id)
            and self.severity in (None, flag.severity)
            and (self.since is None or flag.until >= self.since)
            and (self.until is None or flag.since < self.until)
        )


class Desk:
    """What it takes to look at flags: store, casebook, and the registry as of now.

    Args:
        store: of flags.
        casebook: of decisions and windows.
        devices: the registry; when None, the devices of the flags looked at are read from the
            casebook, which has a million others, too.
    """

    def __init__(
        self, store: Readable, casebook: Casebook, devices: Registry | None = None
    ) -> None:
        self.store = store
        self.casebook = casebook
        self._devices = devices
        self.windows = Windows(suppressions(casebook))

    def views(self, choice: Choice) -> Iterator[FlagView]:
        """Flags that are asked for, those that began last first."""
        found = self.store.flags(
            code=choice.code,
            device_id=choice.device_id,
            kind=choice.kind,
            since=choice.since,
            until=choice.until,
            severity=choice.severity,
            ids=choice.ids,
            withdrawn=True,
            newest_first=True,
        )
        gone = sorted(self._gone(choice.ids), key=_newest_first)
        merged_views = heapq.merge(self._seen(found), gone, key=_newest_first)
        return (view for view in merged_views if choice.takes(view))

    def look(self, ids: Sequence[str]) -> list[FlagView]:
        """These flags, in the order given, each once.

        Raises:
            ConfigError: neither store nor casebook knows one of them.
        """
        wanted = list(dict.fromkeys(ids))
        found: dict[str, FlagView] = {}
        for part in tables.parts(wanted):
            seen = self._seen(self.store.flags(ids=part, withdrawn=True))
            found.update((view.flag.id, view) for view in seen)
        missing = [flag_id for flag_id in wanted if flag_id not in found]
        if missing:
            found.update((view.flag.id, view) for view in self._gone(missing))
        unknown = [flag_id for flag_id in wanted if flag_id not in found]
        if unknown:
            more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
            raise ConfigError(
                f"no flag {', '.join(unknown[:5])}{more}; `gateway flag list` tells them"
            )
        return [found[flag_id] for flag_id in wanted]

    def see(self, flags: Iterable[Flag]) -> Iterator[FlagView]:
        """Flags of the store in their order, with what people have said of each."""
        return self._seen(flags)

    def _seen(self, flags: Iterable[Flag]) -> Iterator[FlagView]:
        """Flags of the store, looked up in the casebook some hundred at a time."""
        stream = iter(flags)
        while chunk := list(islice(stream, _CHUNK)):
            yield from self.viewed(chunk)

    def viewed(self, flags: Sequence[Flag]) -> list[FlagView]:
        """Flags in their order, with what people have said of each."""
        with self.casebook.transaction(reading=True) as connection:
            cases = tables.read_cases(connection, [flag.id for flag in flags])
            devices = self._devices
            if devices is None:
                devices = read_versions(connection, {flag.device_id for flag in flags})
        return [self._view(flag, cases.get(flag.id), registered(devices, flag)) for flag in flags]

    def _view(self, flag: Flag, case: Case | None, device: Device | None) -> FlagView:
        window = self.windows.around(flag, device) if self.windows else None
        state = None if case is None else case.state
        status = merged(state, flag.status, suppressed=window is not None)
        return FlagView(
            flag=flag,
            status=status,
            version=0 if case is None else case.version,
            case=case,
            suppression=None if window is None else window.id,
            device=device,
        )

    def _gone(self, ids: Collection[str] | None) -> Iterator[FlagView]:
        """Flags that people have decided about and the store does not have any more.

        The latest processing, by another profile or another registry, does not find them.
        """
        with self.casebook.transaction(reading=True) as connection:
            decided = tables.read_case_ids(connection)
        if ids is not None:
            wanted = set(ids)
            decided = [flag_id for flag_id in decided if flag_id in wanted]
        for part in tables.parts(decided):
            here = {flag.id for flag in self.store.flags(ids=part, withdrawn=True)}
            lost = [flag_id for flag_id in part if flag_id not in here]
            if not lost:
                continue
            with self.casebook.transaction(reading=True) as connection:
                cases = tables.read_cases(connection, lost)
            flags = [
                msgspec.structs.replace(case.flag, status="withdrawn") for case in cases.values()
            ]
            for view in self.viewed(flags):
                yield msgspec.structs.replace(view, gone=True)


def _newest_first(view: FlagView) -> tuple[int, str]:
    return -view.flag.since, view.flag.id


def suppressions(casebook: Casebook) -> list[Suppression]:
    """Every window of suppression, also those lifted, in the order in which they were made."""
    with casebook.transaction(reading=True) as connection:
        return tables.read_suppressions(connection)


def events(casebook: Casebook, flag_id: str) -> list[Event]:
    """Every decision about a flag, the oldest first; they stay whatever processing finds."""
    with casebook.transaction(reading=True) as connection:
        return tables.read_events(connection, flag_id)


def history(view: FlagView, decisions: Sequence[Event]) -> list[Occurrence]:
    """What happened to a flag: people's decisions, and beside them what processing tells.

    Decisions stand in their order, at the time when they were taken.  What is automatic stands
    where the data put it: the flag was raised when it began, its condition ended when it did; of a
    withdrawal or a higher severity only the place among the decisions is known, so it has no time.
    """
    flag = view.flag
    told = [Occurrence(at=flag.since, kind="automatic", action="raised")]
    known = ("open", decisions[0].severity if decisions else flag.severity)
    for event in decisions:
        told += _changes(known, (event.condition, event.severity), event.until)
        known = (event.condition, event.severity)
        told.append(
            Occurrence(
                at=event.at,
                kind="decision",
                action=event.action,
                actor=event.actor,
                before=event.before,
                after=event.after,
                reason=event.reason,
                number=event.number,
            )
        )
    if view.gone:
        told.append(Occurrence(at=None, kind="automatic", action="gone"))
    else:
        told += _changes(known, (flag.status, flag.severity), flag.until)
    return told


def _changes(known: tuple[str, str], now: tuple[str, str], until: int) -> list[Occurrence]:
    """What processing found between two looks at a flag."""
    told = []
    condition, severity = now
    if _SEVERITIES.index(severity) > _SEVERITIES.index(known[1]):
        told.append(
            Occurrence(
                at=None,
                kind="automatic",
                action="severity_raised",
                before=known[1],
                after=severity,
            )
        )
    if condition != known[0]:
        action = {"ended": "condition_ended", "withdrawn": "withdrawn"}.get(condition, "raised")
        at = until if condition == "ended" else None
        told.append(Occurrence(at=at, kind="automatic", action=action))
    return told


def with_status(desk: Desk, flags: Iterable[Flag]) -> Iterator[Flag]:
    """Flags in their order, each with the status to show in place of its condition."""
    for view in desk._seen(flags):  # noqa: SLF001 - the same module
        if view.status == view.flag.status:
            yield view.flag
        else:
            yield msgspec.structs.replace(view.flag, status=view.status)
