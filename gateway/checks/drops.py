"""``consumption_drop``: from some day on much less is consumed, for good.

A part of the load that goes round the meter shows as a step down of the daily use that stays.  So
do a holiday and an empty house: the step must last longer than holidays do, and a house in which
next to nothing is used is told of as information only.

A day's use is kept as two bytes, 1000 ln(use) + 14000, which is to 0.1 %; 0 is a day that is not
known, 1 one without any use.  A third byte is how often the register moved.  Where something is
consumed once or twice a day (a gas cooker), the use of a day says little, and the size of the steps
says soon that a part of each goes round the meter.
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
from gateway.checks.step_down import HOLIDAY, known, mean, step_down, usual_step, usual_use
from gateway.checks.use import DAY_BYTES, REMEMBERED_DAYS, Now, Use
from gateway.devices import named_devices

if TYPE_CHECKING:
    from gateway.checks.metered import Meter
    from gateway.records import Device, Flag, Reading

DROP: Final = "consumption_drop"
_WEEK: Final = 7
_SCALE: Final = 1000.0
_SHIFT: Final = 14_000
_NONE: Final = 1
_PACKED: Final = tuple(Struct("<" + n * "HB") for n in range(REMEMBERED_DAYS + 1))
_LONGER: Final = (0, 3, 7, 14, 21, 28)
"""How many days more than the settings say are looked at, where the use is uneven."""
_HINT: Final = 400
"""The days of late must be this much (a third, in ln) below those before to be looked at."""
_HINTS: Final = (14, 28)
_CONSUMED: Final = 0.7
"""Smaller steps are a drop only where less than this part is consumed in the days after."""
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
    """What the days show: their use, or the steps that it was made in.

    ``expected`` is the usual use of the days after, a day, or the usual step.
    """

    measure: str
    days: int
    ratio: float
    visible: float
    expected: float


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
        days = use.days + bytes((told & 255, told >> 8, min(255, use.moves)))
        use.days = days[-DAY_BYTES * REMEMBERED_DAYS :]
        if not self.on:
            return
        kept = _PACKED[len(use.days) // DAY_BYTES].unpack(use.days)
        codes = kept[::2]
        middle = _middle(codes)
        peers = self._peers(now.device, now.reading)
        if told > _NONE and middle and peers is not None:
            _add(peers, day[0] // DAY, told - middle)
        if use.lasting(DROP) is not None:
            self._still(use, codes, day, now.flags)
        elif _hint(codes):
            uses = [amount(told) for told in codes]
            drop = self._found(uses, kept[1::2], day, peers)
            if drop is not None:
                self._say(now, drop, day, uses, kept[1::2])

    def _found(
        self,
        uses: list[float | None],
        moves: tuple[int, ...],
        day: tuple[int, int],
        peers: Peers | None,
    ) -> Drop | None:
        """The drop that the last days make, if they make one."""
        least, ratio = self._settings.before, self._settings.ratio
        for longer in _LONGER:
            days = self._settings.days + longer
            first = len(uses) - days
            usual = usual_use(uses[: max(first, 0)], least)
            if usual is None:
                return None
            of = [usual.of[i % _WEEK] for i in range(first, len(uses))]
            after = [
                None if use is None or not much else (use / much, 1.0)
                for use, much in zip(uses[first:], of, strict=True)
            ]
            aside = _aside(peers, day[1] // DAY - 1, days)
            found = step_down(after, usual, ratio, aside)
            if found is not None:
                return Drop("use of a day", days, *found, mean(of))
            if mean([part[0] for part in after if part is not None]) < _CONSUMED * aside:
                steps = [
                    None if use is None else (use, float(often))
                    for use, often in zip(uses, moves, strict=True)
                ]
                usual = usual_step(steps[:first], least // 2)
                if usual is None:
                    continue
                step = usual.of[0]
                sizes = [
                    (part[0] / part[1] / step, part[1]) if part is not None and part[1] else None
                    for part in steps[first:]
                ]
                found = step_down(sizes, usual, ratio, aside)
                if found is not None:
                    return Drop("mean step", days, *found, step)
        return None

    def _say(
        self,
        now: Now,
        drop: Drop,
        day: tuple[int, int],
        uses: list[float | None],
        moves: tuple[int, ...],
    ) -> None:
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
                "formula": f"mean {drop.measure} after / before, over all days after and over the "
                "first and the last days - 10 (half at most) of them, each < visible_ratio",
                "inputs": {
                    "register": register,
                    "ratio": round(drop.ratio, 4),
                    "days": drop.days,
                    "uses": [None if use is None else float(f"{use:.4g}") for use in uses],
                    "moves": list(moves),
                },
                "measure": drop.measure,
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
        told_of = lasting.flag.evidence["inputs"]
        expected = mean(known(told_of["uses"][: -told_of["days"]]))
        parts = [
            None if told is None else told / expected
            for told in map(amount, codes[-self._settings.days :])
        ]
        late = known(parts[-HOLIDAY:])
        if late and mean(late) > sqrt(self._settings.ratio):
            end(lasting, flags)
            use.forget(DROP)
            return
        # Where it looked empty and is used a little again, it is a drop like any other.
        severity = None
        changes: dict[str, object] = {}
        halves = [known(parts[: len(parts) // 2]), known(parts[len(parts) // 2 :])]
        if lasting.flag.evidence["looks_empty"] and all(
            half and self._settings.empty < mean(half) < self._settings.ratio for half in halves
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


def _hint(codes: tuple[int, ...]) -> bool:
    """Whether it is worth while to look at the days: less than a third of the time it is."""
    for days in _HINTS:
        before = [told for told in codes[:-days] if told > _NONE]
        after = [told for told in codes[-days:] if told > _NONE]
        if before and sum(after) * len(before) <= (sum(before) - _HINT * len(before)) * len(after):
            return True
    return False


def _middle(codes: tuple[int, ...]) -> int:
    """The middle of the days that are known; 0 of none."""
    known = sorted(told for told in codes if told)
    return known[len(known) // 2] if known else 0


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
