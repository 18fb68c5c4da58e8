"""``consumption_drop``: from some day on much less is consumed, for good.

A part of the load that goes round the meter shows as a step down of the daily use that stays.  So
do a holiday and an empty house: the step must last longer than holidays do, and a house in which
next to nothing is used is told of as information only.

A day's use is kept as two bytes, 1000 ln(use) + 14000: to 0.1 %, of which a step of 0.1 % is all
that a stranger who recomputes the flag may find other.  0 is a day that is not known, 1 one without
any use.  All arithmetic is on these numbers: differences are ratios.
"""

from __future__ import annotations

from math import exp, log, sqrt
from struct import Struct
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import msgspec
from pydantic import Field

from gateway.checks.findings import finding, unit_of
from gateway.checks.lasting import begin, end, go_on
from gateway.checks.local_days import DAY
from gateway.checks.parameters import Settings
from gateway.checks.use import REMEMBERED_DAYS, Now, Use
from gateway.devices import named_devices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.checks.metered import Meter
    from gateway.records import Device, Flag, Reading

DROP: Final = "consumption_drop"
_WEEK: Final = 7
_SCALE: Final = 1000.0
_SHIFT: Final = 14_000
_NONE: Final = 1
_PACKED: Final = tuple(Struct(f"<{n}H") for n in range(REMEMBERED_DAYS + 1))
_HOLIDAY: Final = 10
"""Days that a holiday lasts at most: days that are further apart must both be of the drop."""
_LONGER: Final = (0, 3, 7, 14, 21, 28)
"""How many days more than the settings say are looked at, where the use is uneven."""
_HINT: Final = 250
"""The days of late must be this much (a fifth) below the middle of all to be looked at."""
_STABLE: Final = 0.75
"""The week before is at least this part of the days before it: no slow decline."""
_SURE: Final = 3.0
_SURE_ENDS: Final = 2.0
"""How many standard deviations of its mean a drop must be, and at each of its ends."""
_LEAST_SPREAD: Final = 0.1
_SEVERAL: Final = 3
_CAP: Final = 3.0
"""A day of more than three times the mean counts as that: one feast is no usual use."""
_PEERS: Final = 8
_PEER_DAYS: Final = 35
_BINS: Final = 48
_BIN: Final = 100


class DropSettings(Settings):
    """When a drop is one.

    ``days`` that it has lasted, after ``before`` days of usual use; ``ratio`` of the use now to the
    use before, below which it counts; below ``empty`` the house looks empty, and the flag is info.
    """

    days: Annotated[int, Field(ge=12, le=21)] = 14
    before: Annotated[int, Field(ge=7, le=21)] = 10
    ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5
    empty: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Peers(msgspec.Struct, array_like=True):
    """How the use of a group of meters compares with what is usual for each, by local day.

    A day has a count for each tenth (of ln) from -4 to +0.8, two bytes each.
    """

    days: dict[int, bytearray] = {}


class Drop(NamedTuple):
    """What the days show; ``expected`` is the usual use of the days after, a day."""

    days: int
    ends: int
    ratio: float
    visible: float
    expected: float
    before: tuple[int, ...]
    after: tuple[int, ...]


def code(use: float) -> int:
    """A day's use as two bytes."""
    if use <= 1e-6:
        return _NONE
    return min(65_535, round(_SCALE * log(use)) + _SHIFT)


def amount(told: int) -> float | None:
    """What two bytes say of a day; None where it is not known."""
    if not told:
        return None
    return 0.0 if told == _NONE else exp((told - _SHIFT) / _SCALE)


class Drops:
    """The check of one layout."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.on = meter.judges(DROP)
        self._settings = meter.bound.settings.of(DROP, DropSettings)

    def close(self, now: Now, day: tuple[int, int], total: float | None) -> None:
        """A local day is over.

        Args:
            now: the first reading after it.
            day: its midnights.
            total: what was consumed in it, None where that is not known.
        """
        use = now.use
        told = 0 if total is None else code(total)
        days = use.days + bytes((told & 255, told >> 8))
        use.days = days[-2 * REMEMBERED_DAYS :]
        if not self.on:
            return
        codes = _PACKED[len(use.days) // 2].unpack(use.days)
        middle = _middle(codes)
        peers = self._peers(now.device, now.reading)
        if told > _NONE and middle and peers is not None:
            _add(peers, day[0] // DAY, told - middle)
        if use.lasting(DROP) is not None:
            self._still(use, codes, day, now.flags)
        elif sum(codes[-4:]) < 4 * (middle - _HINT):
            drop = self._found(codes, day, peers)
            if drop is not None:
                self._say(now, drop, day)

    def _found(
        self, codes: tuple[int, ...], day: tuple[int, int], peers: Peers | None
    ) -> Drop | None:
        """The drop that the last days make, if they make one."""
        uses = [amount(told) for told in codes]
        for longer in _LONGER:
            days = self._settings.days + longer
            before, after = uses[:-days], uses[-days:]
            usual = _usual(before, self._settings.before)
            if usual is None:
                return None
            parts = [
                None if told is None or not usual.of[i % _WEEK] else told / usual.of[i % _WEEK]
                for i, told in enumerate(after, len(before))
            ]
            end_days = min(days - _HOLIDAY, days // 2)
            ends = [_known(parts[:end_days]), _known(parts[-end_days:])]
            fewest = min(map(len, ends))
            if fewest < (end_days + 1) // 2:
                continue
            known = sorted(_known(parts))
            # An end that is a quarter back from the level of the drop is not wholly in it.
            level = known[len(known) // 2]
            visible = min(
                self._settings.ratio,
                level + (1 - level) / 4,
                1 - _SURE * usual.spread * sqrt(1 / len(known) + 1 / usual.days),
                1 - _SURE_ENDS * usual.spread * sqrt(1 / fewest + 1 / usual.days),
            )
            limit = visible * _aside(peers, day[1] // DAY - 1, days)
            if all(_mean(part) < limit for part in (*ends, known)):
                expected = _mean([usual.of[i % _WEEK] for i in range(len(before), len(uses))])
                return Drop(
                    days, end_days, _mean(known), limit, expected, codes[:-days], codes[-days:]
                )
        return None

    def _say(self, now: Now, drop: Drop, day: tuple[int, int]) -> None:
        reading = now.reading
        register = self._meter.what.register
        looks_empty = drop.ratio < self._settings.empty
        since = day[1] - drop.days * DAY
        flag = finding(
            reading,
            DROP,
            {
                "observed": round(drop.ratio * drop.expected, 6),
                "expected": round(drop.expected, 6),
                "tolerance": round((1 - drop.visible) * drop.expected, 6),
                "unit": unit_of(reading, register),
                "formula": "mean of use / mean use of that weekday before, over all days after, "
                f"the first {drop.ends} and the last {drop.ends} of them, each < visible_ratio",
                "inputs": {
                    "register": register,
                    "ratio": round(drop.ratio, 4),
                    "days_before": [_shown(told) for told in drop.before],
                    "days_after": [_shown(told) for told in drop.after],
                },
                "visible_ratio": round(drop.visible, 4),
                "looks_empty": looks_empty,
                "judged_late": False,
            },
            occasion=f"@{since}",
            quantity=register,
            channel=reading.channel,
            severity="info" if looks_empty else None,
            since=since,
            until=day[1],
        )
        begin(now.use.begin(DROP), flag, now.flags)

    def _still(
        self, use: Use, codes: tuple[int, ...], day: tuple[int, int], flags: list[Flag]
    ) -> None:
        """Whether it lasts: until the mean of late is above half way (in ln) to the use before."""
        lasting = use.lasting(DROP)
        if lasting is None or lasting.flag is None:
            return
        expected = lasting.flag.evidence["expected"]
        parts = [
            None if told is None else told / expected
            for told in map(amount, codes[-self._settings.days :])
        ]
        late = _known(parts[-_HOLIDAY:])
        if late and _mean(late) > sqrt(self._settings.ratio):
            end(lasting, flags)
            use.forget(DROP)
            return
        # Where it looked empty and is used a little again, it is a drop like any other.
        severity = None
        changes: dict[str, object] = {}
        halves = [_known(parts[: len(parts) // 2]), _known(parts[len(parts) // 2 :])]
        if lasting.flag.evidence["looks_empty"] and all(
            half and self._settings.empty < _mean(half) < self._settings.ratio for half in halves
        ):
            changes, severity = {"looks_empty": False}, "minor"
        go_on(lasting, day[1], changes, flags, severity)

    def _peers(self, device: Device | None, reading: Reading) -> Peers | None:
        """The meters of the same feeder, else of the same region."""
        if device is None:
            return None
        parents = named_devices(device, "parent")
        group = parents[0] if parents else device.region
        if not group:
            return None
        return self._meter.bound.group(DROP, f"{reading.kind} {group}", Peers)


class _Usual(NamedTuple):
    """The mean use by the place of a day in the series modulo 7 (0: next to none).

    ``spread`` is its relative standard deviation, ``days`` of how many days they are.
    """

    of: list[float]
    spread: float
    days: int


def _usual(before: list[float | None], least: int) -> _Usual | None:
    """What is usual; None where too few days are known, or it falls already."""
    known = _known(before)
    whole = _mean(known)
    if len(known) < least or not whole:
        return None
    capped = [None if use is None else min(use, _CAP * whole) for use in before]
    whole = _mean(_known(capped))
    of = []
    for weekday in range(_WEEK):
        same = _known(capped[weekday::_WEEK])
        # One or two days may be any: then the mean of all is the better guess.
        mean = _mean(same) if len(same) >= _SEVERAL else whole
        of.append(mean if mean > whole / 10 else 0.0)
    parts = [
        use / of[i % _WEEK] for i, use in enumerate(capped) if use is not None and of[i % _WEEK]
    ]
    mean = _mean(parts)
    spread = sqrt(sum((part - mean) ** 2 for part in parts) / max(1, len(parts) - 1))
    week, earlier = parts[-_WEEK:], parts[:-_WEEK]
    if earlier:
        chance = 1.5 * spread * sqrt(1 / len(week) + 1 / len(earlier))
        if _mean(week) < min(_STABLE, 1 - chance) * _mean(earlier):
            return None
    return _Usual(of, max(spread, _LEAST_SPREAD), len(parts))


def _known(uses: Sequence[float | None]) -> list[float]:
    return [use for use in uses if use is not None]


def _mean(numbers: Sequence[float]) -> float:
    """The mean of some numbers; 0 of none."""
    return sum(numbers) / len(numbers) if numbers else 0.0


def _middle(codes: tuple[int, ...]) -> int:
    """The middle of the days that are known; 0 of none."""
    known = sorted(told for told in codes if told)
    return known[len(known) // 2] if known else 0


def _shown(told: int) -> float | None:
    found = amount(told)
    return None if found is None else float(f"{found:.4g}")


def _add(peers: Peers, day: int, change: int) -> None:
    """Counts one meter's day."""
    counts = peers.days.get(day)
    if counts is None:
        counts = peers.days[day] = bytearray(2 * _BINS)
        for old in [known for known in peers.days if known < max(peers.days) - _PEER_DAYS]:
            del peers.days[old]
    place = 2 * min(_BINS - 1, max(0, (change + 4_000) // _BIN))
    count = min(65_535, counts[place] + 256 * counts[place + 1] + 1)
    counts[place], counts[place + 1] = count & 255, count >> 8


def _aside(peers: Peers | None, last: int, days: int) -> float:
    """What part of their usual use the others have left: the middle of the days' middles, or 1.

    The last day is left out, because some of the others have not ended it.
    """
    middles = []
    for day in range(last - days + 1, last):
        counts = peers.days.get(day) if peers is not None else None
        if counts is None:
            continue
        numbers = [counts[i] + 256 * counts[i + 1] for i in range(0, 2 * _BINS, 2)]
        whole = sum(numbers)
        if whole < _PEERS:
            continue
        passed = 0
        for place, number in enumerate(numbers):
            passed += number
            if 2 * passed >= whole:
                middles.append(place * _BIN - 4_000 + _BIN // 2)
                break
    if not middles:
        return 1.0
    middles.sort()
    return min(1.0, exp(middles[len(middles) // 2] / _SCALE))
