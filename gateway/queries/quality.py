"""Data quality within a scope, by the counts of `gateway.quality`.

Counting a day over ten million readings takes about a second of one core; so the counts of a day
are kept for a while, by device, and each question takes its own from these.  Who asks for one
device alone does not wait for all.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.devices import LATEST
from gateway.errors import ConfigError
from gateway.quality.assess import (
    BY,
    Assessment,
    By,
    Instruments,
    Sums,
    assessment_line,
    days,
    order,
    terms_of,
)
from gateway.quality.counts import Day, latest_receipt
from gateway.quality.firmware import told_firmware
from gateway.quantities import KINDS
from gateway.queries import paging
from gateway.queries.paging import Page
from gateway.queries.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.quality.counts import DeviceDay
    from gateway.queries.seen import Seen, World

MOST_DAYS: Final = 31
EARLIEST: Final = dt.date(1980, 1, 1)
LATEST_DAY: Final = dt.date(2200, 1, 1)
"""No instrument measured before, and beyond it nanoseconds would run out."""
_RECENT_S: Final = 60.0
_PAST_S: Final = 900.0
_MOST_ROWS: Final = 400_000
_MOST_ASSESSED: Final = 200_000
"""Rows of an answer about several days, which is made as a whole: each device on each day would be
millions."""

Counted = dict[tuple[str | None, str | None], "DeviceDay"]


class QualityCounts:
    """The counts of days, each kept for a minute, or a quarter of an hour where it is long past.

    Args:
        world: to be asked.
        clock: seconds.
        most_assessed: rows that an answer over several days may have.
    """

    def __init__(
        self,
        world: World,
        *,
        clock: Callable[[], float] = time.monotonic,
        most_assessed: int = _MOST_ASSESSED,
    ) -> None:
        self.most_assessed = most_assessed
        self._world = world
        self._recent = Recent(clock, most=_MOST_ROWS, size=len, beside=world.recent.beside)

    def day(self, date: dt.date, zone: dt.tzinfo, device_id: str | None = None) -> Counted:
        """What is counted on a day of every device, or of one, which takes a part of the time."""
        ((_, begin, end),) = days(date, date, zone)
        past = end < self._world.directory.latest_receipt - 2 * (end - begin)
        return self._recent.get(
            (str(zone), begin, device_id),
            _PAST_S if past else _RECENT_S,
            lambda: self._count(begin, end, device_id),
        )

    def _count(self, begin: int, end: int, device_id: str | None) -> Counted:
        world, terms = self._world, terms_of(self._world.casebook)
        if device_id is not None:
            kinds = {each.kind for each in world.directory.summaries.get(device_id, ())}
            device = world.directory.registry.get(device_id)
            kinds |= set() if device is None or device.kind is None else {device.kind}
            terms = msgspec.structs.replace(
                terms, device_id=device_id, kinds=tuple(k for k in KINDS if k in kinds or not kinds)
            )
        return Day(
            world.store, begin, end, clock=latest_receipt(world.store) or 0,
            devices=world.directory.registry, terms=terms,
        ).counted()  # fmt: skip


class QualityChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which days, both included, in which zone they begin, and what makes a group.

    ``total`` gives one row a group over all days, instead of one a day.  ``model`` and ``firmware``
    narrow to devices of which these are known, empty to those of which they are not.
    """

    first: dt.date
    last: dt.date
    zone: dt.tzinfo
    by: By
    region: str | None = None
    device_id: str | None = None
    model: str | None = None
    firmware: str | None = None
    total: bool = False

    def checked(self) -> QualityChoice:
        """Itself.

        Raises:
            ConfigError: too many days, or an unknown group.
        """
        if self.by not in BY:
            raise ConfigError(f"by {self.by!r:.40}: known are {', '.join(BY)}")
        if not EARLIEST <= self.first <= self.last <= LATEST_DAY:
            raise ConfigError(f"since, until: days from {EARLIEST} to {LATEST_DAY}, in their order")
        if not 0 <= (self.last - self.first).days < MOST_DAYS:
            raise ConfigError(f"until: at most {MOST_DAYS} days from since on")
        return self


def page(
    seen: Seen, counts: QualityCounts, choice: QualityChoice, *, cursor: str | None, limit: int
) -> Page:
    """Assessments by day and group.

    Raises:
        ConfigError: the choice or the cursor is none.
        AccessDenied: places are asked for that are not seen.
    """
    limit = paging.checked_limit(limit)
    choice = choice.checked()
    key = paging.read(cursor, tuple[str, str, str])
    # The days' counts are kept for all; what is made of them is for who sees this part of it.
    found = seen.world.recent.get(
        ("quality", seen.scope, seen.privacy, choice),
        _RECENT_S,
        lambda: _assessed(seen, counts, choice),
    )
    if key is not None:
        found = [each for each in found if order(each) > key]
    items = [assessment_line(each, choice.by) for each in found[:limit]]
    more = len(found) > limit
    return Page(items, paging.written(*order(found[limit - 1])) if more else None)


def _assessed(seen: Seen, counts: QualityCounts, choice: QualityChoice) -> list[Assessment]:
    by_place = "" if choice.by == "region" else None
    scope = seen.narrowed(choice.region if choice.region is not None else by_place)
    members = seen.world.directory.members(scope)
    instruments = Instruments(seen.world.directory.registry, _of_profile(seen))
    by_program = choice.by == "firmware" or choice.firmware is not None
    made: list[Assessment] = []
    sums = Sums(instruments, choice.by)
    if choice.device_id is not None and choice.device_id not in members:
        # Nothing of it is shown, so nothing is counted: neither time nor memory is for strangers.
        return made
    for date, begin, end in days(choice.first, choice.last, choice.zone):
        if not choice.total:
            sums = Sums(instruments, choice.by)
        told = _told_firmware(seen.world, begin, end) if by_program else {}
        at = LATEST if choice.by == "region" else end - 1
        for (device_id, kind), row in counts.day(date, choice.zone, choice.device_id).items():
            if choice.device_id not in (None, device_id):
                continue
            if not _is_of(instruments, choice, device_id, row, at=end - 1, told=told):
                continue
            if scope.everything if device_id is None else device_id in members:
                sums.add(device_id, kind, row, at, told)
        if not choice.total:
            made += sums.assessed(date)
        if len(made) > counts.most_assessed and date < choice.last:
            raise ConfigError(
                f"until: more than {counts.most_assessed:,} rows by {date}; fewer days, or total"
            )
    return sums.assessed(None) if choice.total else made


def _is_of(
    instruments: Instruments,
    choice: QualityChoice,
    device_id: str | None,
    row: DeviceDay,
    *,
    at: int,
    told: dict[str, str],
) -> bool:
    """Whether a device is of the model and firmware asked for, where either is."""
    if choice.model is None and choice.firmware is None:
        return True
    if device_id is None:
        return False
    wanted: tuple[tuple[By, str | None], ...] = (
        ("model", choice.model),
        ("firmware", choice.firmware),
    )
    return all(
        value is None or (instruments.group(by, device_id, row.profile, at, told) or "") == value
        for by, value in wanted
    )


def _told_firmware(world: World, begin: int, end: int) -> dict[str, str]:
    """What devices told of their programs by a day, the same for all who ask."""
    key = ("told_firmware", begin, end)
    return world.recent.get(key, _RECENT_S, lambda: told_firmware(world.store, begin, end))


def _of_profile(seen: Seen) -> dict[str, tuple[str | None, str | None]]:
    """Vendor and model that profiles name."""
    found: dict[str, tuple[str | None, str | None]] = {}
    for name, profile in seen.world.profiles.profiles.items():
        instrument = profile.model.instrument
        found[name.partition("@")[0]] = instrument.vendor, instrument.model
    return found
