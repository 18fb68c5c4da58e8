"""A lasting step down in daily numbers: the arithmetic of `consumption_drop`.

A day is a value and its weight, or None where it is not known.  All is relative:
1 is what is usual.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    Sample = tuple[float, float]

HOLIDAY: Final = 10
"""Days that a holiday lasts at most: days that are further apart must both be of the drop."""
SURE: Final = 3.0
SURE_ENDS: Final = 2.5
"""How many standard deviations of its mean a drop must be, and at each of its ends."""
_STABLE: Final = 0.75
"""The week before is at least this part of the days before it: no slow decline."""
_LEAST_SPREAD: Final = 0.1
_SEVERAL: Final = 3
_CAP: Final = 3.0
"""A day of more than three times the mean counts as that: one feast is no usual use."""
_WEEK: Final = 7


class Usual(NamedTuple):
    """What is usual, by the place of a day in the series modulo 7 (0: next to none).

    ``spread`` is the relative standard deviation of a weight of one, ``weight`` that of all days.
    """

    of: list[float]
    spread: float
    weight: float


def usual_use(before: Sequence[float | None], least: int) -> Usual | None:
    """The usual use of a day; None where too few days are known, or it fades already."""
    present = known(before)
    whole = mean(present)
    if len(present) < least or not whole:
        return None
    capped = [None if use is None else min(use, _CAP * whole) for use in before]
    whole = mean(known(capped))
    of = []
    for weekday in range(_WEEK):
        same = known(capped[weekday::_WEEK])
        # One or two days may be any: then the mean of all is the better guess.
        middle = mean(same) if len(same) >= _SEVERAL else whole
        of.append(middle if middle > whole / 10 else 0.0)
    parts = [
        use / of[i % _WEEK] for i, use in enumerate(capped) if use is not None and of[i % _WEEK]
    ]
    middle = mean(parts)
    spread = sqrt(sum((part - middle) ** 2 for part in parts) / max(1, len(parts) - 1))
    week, earlier = parts[-_WEEK:], parts[:-_WEEK]
    if earlier:
        chance = 1.5 * spread * sqrt(1 / len(week) + 1 / len(earlier))
        if mean(week) < min(_STABLE, 1 - chance) * mean(earlier):
            return None
    return Usual(of, max(spread, _LEAST_SPREAD), len(parts))


def usual_step(before: Sequence[Sample | None], least: int) -> Usual | None:
    """The usual step of the register; a day is its use and how often the register moved."""
    present = [day for day in before if day is not None and day[1]]
    moves = sum(weight for _, weight in present)
    amount = sum(use for use, _ in present)
    if len(present) < least or not amount:
        return None
    step = amount / moves
    square = sum((use / step - weight) ** 2 for use, weight in present)
    return Usual([step] * _WEEK, max(sqrt(square / moves), _LEAST_SPREAD), moves)


def step_down(
    after: Sequence[Sample | None], usual: Usual, ratio: float, aside: float
) -> tuple[float, float] | None:
    """The mean of the days after, and the limit that it is below; None where it is no step.

    Args:
        after: relative to what is usual, each with its weight.
        usual: of the days before.
        ratio: a larger part than this is no drop.
        aside: what part is left of what others use.
    """
    days = len(after)
    end = min(days - HOLIDAY, days // 2)
    whole = [day for day in after if day is not None and day[1]]
    ends = [
        [day for day in part if day is not None and day[1]] for part in (after[:end], after[-end:])
    ]
    if min(map(len, ends)) < (end + 1) // 2:
        return None
    seen = [i for i, day in enumerate(after) if day is not None and day[1]]
    if seen[-1] - seen[0] < HOLIDAY + 2:
        return None
    values = sorted(value for value, _ in whole)
    # An end that is a quarter back from the level of the drop is not wholly in it.
    level = values[len(values) // 2]
    if max(whole[0][0], whole[-1][0]) > (1 + level) / 2:
        return None
    weights = [sum(weight for _, weight in part) for part in (whole, *ends)]
    limit = aside * min(
        ratio,
        level + (1 - level) / 4,
        1 - SURE * usual.spread * sqrt(1 / weights[0] + 1 / usual.weight),
        1 - SURE_ENDS * usual.spread * sqrt(1 / min(weights[1:]) + 1 / usual.weight),
    )
    means = [
        sum(value * weight for value, weight in part) / total
        for part, total in zip((whole, *ends), weights, strict=True)
    ]
    return (means[0], limit) if max(means) < limit else None


def known(uses: Sequence[float | None]) -> list[float]:
    """Those that are known."""
    return [use for use in uses if use is not None]


def mean(numbers: Sequence[float]) -> float:
    """The mean of some numbers; 0 of none."""
    return sum(numbers) / len(numbers) if numbers else 0.0
